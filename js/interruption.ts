/**
 * A device that is taken from the page for a while: by a telephone's call, a laptop's lid, a switch. Its track stays
 * live, and sends silence or nothing; the browser says so with `mute`, and with `unmute` when it is given back.
 */

/** A device that starts, and one that is shared between programs, may be mute for a moment: no news. */
const LASTING_MS = 1_500;

/** Watches one track, which may be mute from the beginning. @internal */
export class InterruptionWatch {
  readonly #mediaTrack: MediaStreamTrack;
  readonly #onChange: () => void;
  readonly #ending = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isInterrupted = false;

  constructor(mediaTrack: MediaStreamTrack, onChange: () => void) {
    this.#mediaTrack = mediaTrack;
    this.#onChange = onChange;
    const { signal } = this.#ending;
    for (const name of ["mute", "unmute"]) mediaTrack.addEventListener(name, () => this.#look(), { signal });
    this.#look();
  }

  get isInterrupted(): boolean {
    return this.#isInterrupted;
  }

  stop(): void {
    this.#ending.abort();
    clearTimeout(this.#timer);
  }

  #look(): void {
    clearTimeout(this.#timer);
    if (this.#mediaTrack.muted) this.#timer = setTimeout(() => this.#set(true), LASTING_MS);
    else this.#set(false);
  }

  #set(isInterrupted: boolean): void {
    if (this.#isInterrupted === isInterrupted) return;
    this.#isInterrupted = isInterrupted;
    this.#onChange();
  }
}
