/**
 * Whether everyone's sound and picture arrive in what is sealed. Checked with every report of the
 * composing worker (once a second); a change is reported when it has lasted, within 5 s.
 */
import type { ComposeCounts } from "../worker/compose-protocol.js";
import type { MediaKind, ParticipantId } from "../worker/protocol.js";
import type { RemoteTrack } from "./media-session.js";
import type { Level } from "./mixer.js";

/**
 * `ok`; `silent`: sound arrives and is digital silence (a muted microphone); `no_frames`: nothing arrives;
 * `frozen`: pictures arrive and do not change; `stalled` (of the recorder itself): nothing was captured.
 */
export type HealthStatus = "ok" | "silent" | "no_frames" | "frozen" | "stalled";

export interface HealthReport {
  /** Null when it concerns the recorder itself. */
  readonly participant: ParticipantId | null;
  readonly track: string | null;
  readonly kind: MediaKind | "capture";
  readonly status: HealthStatus;
}

/**
 * How long ago the last check must be at which all was well: three checks, one a second, and some play. What goes wrong
 * between two checks is reported 3 to 4 s after it began.
 */
const LASTING_MS = 2_500;
/** No picture for so long means none arrive: a still camera sends at least 5 a second. */
const NO_FRAMES_MS = 2_000;
const STALLED_MS = 2_000;
/** A picture so far behind the sound is not in what is sealed now. */
const PICTURE_LOST_MS = 4_000;

/** The state of the file being sealed. */
export interface SealedProgress {
  readonly sinceSliceMs: number;
  readonly pictureLagMs: number;
}

interface Watched {
  readonly remote: RemoteTrack;
  reported: HealthStatus | null;
  /** The last check at which it was, or when it was first expected. */
  okAt: number;
}

/** @internal */
export class HealthWatch {
  readonly #report: (report: HealthReport) => void;
  readonly #watched = new Map<string, Watched>();
  #captureStatus: HealthStatus = "ok";

  constructor(report: (report: HealthReport) => void) {
    this.#report = report;
  }

  expect(remote: RemoteTrack): void {
    this.#watched.set(remote.id, { remote, reported: null, okAt: performance.now() });
  }

  forget(remote: RemoteTrack): void {
    this.#watched.delete(remote.id);
  }

  /** `sealed` is null while nothing is captured. */
  check(counts: ComposeCounts, levels: ReadonlyMap<string, Level>, sealed: SealedProgress | null): void {
    const now = performance.now();
    for (const watched of this.#watched.values()) {
      const status =
        watched.remote.kind === "audio" ? audioStatus(watched.remote, levels) : videoStatus(watched.remote, counts);
      if (status === "ok") watched.okAt = now;
      // A picture that stops is frozen first, and then is none: the absence counts from its beginning.
      const hasLasted = status === "ok" || now - watched.okAt >= LASTING_MS;
      if (watched.reported !== status && hasLasted) {
        watched.reported = status;
        const { participant, id, kind } = watched.remote;
        this.#report({ participant, track: id, kind, status });
      }
    }
    const captureStatus = sealed && isStalled(sealed) ? "stalled" : "ok";
    if (captureStatus !== this.#captureStatus) {
      this.#captureStatus = captureStatus;
      this.#report({ participant: null, track: null, kind: "capture", status: captureStatus });
    }
  }
}

function isStalled({ sinceSliceMs, pictureLagMs }: SealedProgress): boolean {
  return sinceSliceMs > STALLED_MS || pictureLagMs > PICTURE_LOST_MS;
}

/** A muted track (RTP stopped) differs from silence that arrives. */
function audioStatus({ id, mediaTrack }: RemoteTrack, levels: ReadonlyMap<string, Level>): HealthStatus {
  const level = levels.get(id);
  if (!level || mediaTrack.muted || mediaTrack.readyState === "ended") return "no_frames";
  return level.isSilent ? "silent" : "ok";
}

/** A shared screen may stand still: nothing is wrong with it. */
function videoStatus({ id, source }: RemoteTrack, counts: ComposeCounts): HealthStatus {
  const input = counts.inputs.find((candidate) => candidate.id === id);
  if (!input || input.idle_ms === null || input.idle_ms > NO_FRAMES_MS) return "no_frames";
  return input.changed === 0 && source !== "screen" ? "frozen" : "ok";
}
