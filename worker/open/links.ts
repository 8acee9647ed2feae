/** Download links are good for minutes. Streams whose links are refused wait for one request for new ones. */
import type { TrackLink } from "../open-protocol.js";
import type { TrackId } from "../core-types.js";

export class Links {
  readonly #ask: () => void;
  readonly #renewed = new Map<string, string>();
  /** Who waits for the page's answer. */
  #waiting: (() => void)[] = [];

  /** `ask`: the page gets new links, and says `take`. */
  constructor(ask: () => void) {
    this.#ask = ask;
  }

  /** Another link than the one that was refused, or null. */
  async renew(part: number, track: TrackId, refused: string): Promise<string | null> {
    const known = this.#renewed.get(nameOf(part, track));
    if (known !== undefined && known !== refused) return known;
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) this.#ask();
    });
    const renewed = this.#renewed.get(nameOf(part, track));
    return renewed === undefined || renewed === refused ? null : renewed;
  }

  take(links: readonly TrackLink[] | null): void {
    for (const { part, track, url } of links ?? []) this.#renewed.set(nameOf(part, track), url);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }
}

function nameOf(part: number, track: TrackId): string {
  return `${part}/${track}`;
}
