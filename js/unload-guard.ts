/** Warns before a page is closed that still holds bytes nobody else has. */

/** @internal */
export class UnloadGuard {
  readonly #holds: () => boolean;
  readonly #listener = (event: BeforeUnloadEvent) => {
    if (this.#holds()) event.preventDefault();
  };

  constructor(holds: () => boolean) {
    this.#holds = holds;
    addEventListener("beforeunload", this.#listener);
  }

  dispose(): void {
    removeEventListener("beforeunload", this.#listener);
  }
}
