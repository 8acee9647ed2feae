/**
 * How many pictures of each participant arrive over the line, whatever becomes of them here: so a slow line is told from
 * a device that cannot decode, compose or encode them all.
 */
import type { RemoteTrack } from "./media-session.js";

interface Counted {
  readonly remote: RemoteTrack;
  frames: number | null;
  at: number;
  perS: number | null;
}

/** @internal */
export class Arrivals {
  readonly #counted = new Map<string, Counted>();

  expect(remote: RemoteTrack): void {
    if (remote.kind === "video") this.#counted.set(remote.id, { remote, frames: null, at: 0, perS: null });
  }

  forget({ id }: RemoteTrack): void {
    this.#counted.delete(id);
  }

  /** To be called once a second; what it finds is there at the next call. */
  count(): void {
    for (const counted of this.#counted.values()) void this.#count(counted);
  }

  /** Pictures a second, by track; tracks of which nothing is known yet are left out. */
  perSecond(): ReadonlyMap<string, number> {
    return new Map([...this.#counted].flatMap(([id, { perS }]) => (perS === null ? [] : [[id, perS] as const])));
  }

  async #count(counted: Counted): Promise<void> {
    const report = await counted.remote.receiver.getStats().catch(() => null);
    for (const stats of report?.values() ?? []) {
      if (stats.type !== "inbound-rtp" || typeof stats.framesReceived !== "number") continue;
      const { frames: before, at } = counted;
      const passedMs = stats.timestamp - at;
      if (before !== null && passedMs > 0) counted.perS = ((stats.framesReceived - before) * 1_000) / passedMs;
      counted.frames = stats.framesReceived;
      counted.at = stats.timestamp;
    }
  }
}
