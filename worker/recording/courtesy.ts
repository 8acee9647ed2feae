/**
 * Live media goes first: while the call's own sending suffers, the upload takes a small piece at a time, and pauses
 * before each. It never stops: bytes that the clinic does not have yet are only on this device.
 */

/** What goes at once while it yields: a third of a second at 2 Mbit/s. */
const SMALL_BYTES = 64 << 10;
/** Before each such piece: together about a quarter of a megabit a second for each track. */
const PAUSE_MS = 2_000;

export class Courtesy {
  #yields = false;
  #wake = new Set<() => void>();

  get yields(): boolean {
    return this.#yields;
  }

  set(yields: boolean): void {
    this.#yields = yields;
    if (yields) return;
    for (const wake of this.#wake) wake();
  }

  /** How many of `bytes` may be sent next. Waits first while it yields, until it no longer does or `signal` is aborted. */
  async turn(bytes: number, signal: AbortSignal): Promise<number> {
    if (!this.#yields) return bytes;
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        this.#wake.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, PAUSE_MS);
      signal.addEventListener("abort", wake, { once: true });
      this.#wake.add(wake);
    });
    return this.#yields ? Math.min(bytes, SMALL_BYTES) : bytes;
  }
}
