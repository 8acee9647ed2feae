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
 * `frozen`: pictures arrive and do not change; `poor`: too few pictures a second get into the recording to follow a face;
 * `stalled` (of the recorder itself): nothing was captured.
 */
export type HealthStatus = "ok" | "silent" | "no_frames" | "frozen" | "poor" | "stalled";

/** Why there are few pictures: this device cannot keep up, or few arrive over the line. */
export type PoorCause = "device" | "line";

export interface HealthReport {
  /** Null when it concerns the recorder itself. */
  readonly participant: ParticipantId | null;
  readonly track: string | null;
  readonly kind: MediaKind | "capture";
  readonly status: HealthStatus;
  /** With `poor`: pictures of this participant that got into the recording in the last second. */
  readonly pictures_per_s?: number;
  /** With `poor`. */
  readonly cause?: PoorCause;
}

/**
 * How long ago the last check must be at which all was well: three checks, one a second, and some play. What goes wrong
 * between two checks is reported 3 to 4 s after it began.
 */
const LASTING_MS = 2_500;
/** No picture for so long means none arrive: a still camera sends at least 5 a second. */
const NO_FRAMES_MS = 2_000;
/** Fewer than a still camera sends. */
const POOR_BELOW_PER_S = 5;
/** What was poor is well again only with some more, and when that has lasted: a warning must not flicker. */
const WELL_FROM_PER_S = 6;
const WELL_AFTER_MS = 4_500;
const STALLED_MS = 2_000;
/** A picture so far behind the sound is not in what is sealed now. */
const PICTURE_LOST_MS = 4_000;

/** The state of the file being sealed. */
export interface SealedProgress {
  /** The browser mixes no sound now, and so writes nothing. */
  readonly isSoundStill: boolean;
  readonly sinceSliceMs: number;
  readonly pictureLagMs: number;
  /** Pictures that came into the file in the last second; null when not known. */
  readonly picturesPerS: number | null;
}

/** What is known of the way that pictures take. */
export interface PicturePath {
  /** That arrived over the line in the last second, by track. */
  readonly arrivedPerS: ReadonlyMap<string, number>;
  /** The recorder already composes less than it was asked for, because this device does not keep up. */
  readonly isLowered: boolean;
}

interface Watched {
  readonly remote: RemoteTrack;
  reported: HealthStatus | null;
  /** The last check at which it was, or when it was first expected. */
  okAt: number;
  /** The last check at which it was not. */
  badAt: number;
}

interface Finding {
  readonly status: HealthStatus;
  readonly pictures_per_s?: number;
  readonly cause?: PoorCause;
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
    this.#watched.set(remote.id, { remote, reported: null, okAt: performance.now(), badAt: Number.NEGATIVE_INFINITY });
  }

  forget(remote: RemoteTrack): void {
    this.#watched.delete(remote.id);
  }

  /** `sealed` is null while nothing is captured. */
  check(
    counts: ComposeCounts,
    levels: ReadonlyMap<string, Level>,
    sealed: SealedProgress | null,
    path: PicturePath = { arrivedPerS: new Map(), isLowered: false },
  ): void {
    const now = performance.now();
    for (const watched of this.#watched.values()) {
      const { remote, reported } = watched;
      const finding: Finding =
        remote.kind === "audio"
          ? { status: audioStatus(remote, levels) }
          : videoStatus(remote, counts, sealed, path, reported === "poor");
      if (finding.status === "ok") watched.okAt = now;
      else watched.badAt = now;
      // A picture that stops is frozen first, and then is none: the absence counts from its beginning.
      const hasLasted =
        finding.status === "ok"
          ? reported !== "poor" || now - watched.badAt >= WELL_AFTER_MS
          : now - watched.okAt >= LASTING_MS;
      if (reported !== finding.status && hasLasted) {
        watched.reported = finding.status;
        this.#report({ participant: remote.participant, track: remote.id, kind: remote.kind, ...finding });
      }
    }
    const captureStatus = sealed && isStalled(sealed) ? "stalled" : "ok";
    if (captureStatus !== this.#captureStatus) {
      this.#captureStatus = captureStatus;
      this.#report({ participant: null, track: null, kind: "capture", status: captureStatus });
    }
  }
}

function isStalled({ isSoundStill, sinceSliceMs, pictureLagMs }: SealedProgress): boolean {
  return isSoundStill || sinceSliceMs > STALLED_MS || pictureLagMs > PICTURE_LOST_MS;
}

/** A muted track (RTP stopped) differs from silence that arrives. */
function audioStatus({ id, mediaTrack }: RemoteTrack, levels: ReadonlyMap<string, Level>): HealthStatus {
  const level = levels.get(id);
  if (!level || mediaTrack.muted || mediaTrack.readyState === "ended") return "no_frames";
  return level.isSilent ? "silent" : "ok";
}

/** A shared screen may stand still: nothing is wrong with it. */
function videoStatus(
  { id, source }: RemoteTrack,
  counts: ComposeCounts,
  sealed: SealedProgress | null,
  { arrivedPerS, isLowered }: PicturePath,
  isPoor: boolean,
): Finding {
  const input = counts.inputs.find((candidate) => candidate.id === id);
  if (!input || input.idle_ms === null || input.idle_ms > NO_FRAMES_MS) return { status: "no_frames" };
  if (source === "screen") return { status: "ok" };
  if (input.changed === 0) return { status: "frozen" };
  if (sealed === null || sealed.picturesPerS === null) return { status: "ok" };
  const pictures_per_s = Math.round(Math.min(input.arrived, sealed.picturesPerS) * 10) / 10;
  if (pictures_per_s >= (isPoor ? WELL_FROM_PER_S : POOR_BELOW_PER_S)) return { status: "ok" };
  const hasArrived = (arrivedPerS.get(id) ?? Number.POSITIVE_INFINITY) >= POOR_BELOW_PER_S;
  return { status: "poor", pictures_per_s, cause: hasArrived || isLowered ? "device" : "line" };
}
