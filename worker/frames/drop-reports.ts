/** Reports dropped frames to the page, at most once a second per track and reason. */
import type { Event } from "../protocol.js";
import type { FrameTrack } from "./frame-track.js";

const REPORT_EVERY_MS = 1_000;

export class DropReports {
  readonly #emit: (event: Event) => void;
  readonly #counts = new Map<FrameTrack, Map<string, number>>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(emit: (event: Event) => void) {
    this.#emit = emit;
  }

  add(track: FrameTrack, reason: string): void {
    const counts = this.#counts.get(track) ?? new Map<string, number>();
    this.#counts.set(track, counts);
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
    this.#timer ??= setTimeout(() => this.#flush(), REPORT_EVERY_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#counts.clear();
  }

  #flush(): void {
    this.#timer = null;
    for (const [track, counts] of this.#counts) {
      for (const [reason, count] of counts) {
        const { options, participant } = track;
        this.#emit({
          e: "frames_dropped",
          key: options.key,
          direction: options.direction,
          track: track.track,
          participant,
          reason,
          count,
        });
      }
    }
    this.#counts.clear();
  }
}
