/**
 * How good this participant's line is, from what the relay says of the direction towards it and what
 * WebRTC's statistics say of the direction from it.
 *
 * A line is slow when it makes pictures worse; sound comes first on it, on both sides. States that
 * last are reported, not moments: a message that flickers helps nobody.
 */
import type { LineQuality, ParticipantId } from "../worker/protocol.js";

/** `slow`: pictures are made smaller so that sound stays clear. `no_pictures`: it carries sound only. */
export type LineDirection = "good" | "slow" | "no_pictures";

export interface LineState {
  /** Towards this participant: what it sees of the others. */
  readonly down: LineDirection;
  /** From this participant, as the others see it. */
  readonly up: LineDirection;
  /** Others whose slow lines have this participant's picture sent smaller. */
  readonly slow_for: readonly ParticipantId[];
}

/** How often the sending direction is looked at. */
export const LINE_CHECK_MS = 1_000;
/** How long a line must be slow, or good again, to be called so. */
const SLOW_AFTER_MS = 3_000;
const GOOD_AFTER_MS = 6_000;
/** From so much loss on sound suffers, whatever becomes of pictures. */
const LOSSY_PERCENT = 10;
/** Evidence that a low estimate is the line's fault and not a busy machine's. */
const UP_LOSS_SHARE = 0.02;
const LONGER_ROUND_TRIP_S = 0.12;
const EVIDENCE_HOLD_MS = 10_000;
/** Under half of what may be sent, a picture is visibly worse. */
const LOWERED_SHARE = 0.5;
/** The relay's limit explains a sending rate this close to it. */
const EXPLAINED_SHARE = 0.8;
const GOOD: LineState = { down: "good", up: "good", slow_for: [] };

/** Statistics of the video that is sent. */
export interface Outgoing {
  /** What the encoders were given, and what they may have at most, bits per second. */
  readonly target_bps: number;
  readonly max_bps: number;
  readonly round_trip_s: number | null;
  /** Share of packets lost, as the relay counted. */
  readonly loss_share: number | null;
}

/** @internal */
export class LineWatch {
  readonly #changed: (state: LineState) => void;
  #state = GOOD;
  #candidate = GOOD;
  #since = 0;
  #quality: LineQuality | null = null;
  #outgoing: Outgoing | null = null;
  #shortestRoundTripS = Number.POSITIVE_INFINITY;
  #evidenceMs = Number.NEGATIVE_INFINITY;

  constructor(changed: (state: LineState) => void) {
    this.#changed = changed;
  }

  get state(): LineState {
    return this.#state;
  }

  /** The relay's newest word on the line. */
  onQuality(quality: LineQuality): void {
    this.#quality = quality;
  }

  /** What is sent now; null when no picture is. To be called every {@link LINE_CHECK_MS}. */
  check(outgoing: Outgoing | null, nowMs: number): void {
    this.#outgoing = outgoing;
    if (outgoing) this.#weigh(outgoing, nowMs);
    const seen = { down: this.#down(), up: this.#up(nowMs), slow_for: this.#quality?.slow_for ?? [] };
    if (!isSame(seen, this.#candidate)) {
      this.#candidate = seen;
      this.#since = nowMs;
    }
    if (isSame(seen, this.#state)) return;
    const lastingMs = isBetter(seen, this.#state) ? GOOD_AFTER_MS : SLOW_AFTER_MS;
    if (nowMs - this.#since < lastingMs) return;
    this.#state = seen;
    this.#changed(seen);
  }

  #weigh({ round_trip_s, loss_share }: Outgoing, nowMs: number): void {
    if (round_trip_s !== null) this.#shortestRoundTripS = Math.min(this.#shortestRoundTripS, round_trip_s);
    const isLonger = (round_trip_s ?? 0) > this.#shortestRoundTripS + LONGER_ROUND_TRIP_S;
    if (isLonger || (loss_share ?? 0) >= UP_LOSS_SHARE) this.#evidenceMs = nowMs;
  }

  #down(): LineDirection {
    if (!this.#quality) return "good";
    const { picture, loss_percent } = this.#quality;
    if (picture === "withheld") return "no_pictures";
    return picture === "lowered" || loss_percent >= LOSSY_PERCENT ? "slow" : "good";
  }

  #up(nowMs: number): LineDirection {
    if (!this.#outgoing) return "good";
    const { target_bps, max_bps } = this.#outgoing;
    const isLow = target_bps < max_bps * LOWERED_SHARE;
    const limit_bps = this.#quality?.up_limit_bps ?? Number.POSITIVE_INFINITY;
    const isOthers = target_bps >= limit_bps * EXPLAINED_SHARE;
    return isLow && !isOthers && nowMs - this.#evidenceMs < EVIDENCE_HOLD_MS ? "slow" : "good";
  }
}

function isSame(one: LineState, other: LineState): boolean {
  return (
    one.down === other.down &&
    one.up === other.up &&
    one.slow_for.length === other.slow_for.length &&
    one.slow_for.every((participant) => other.slow_for.includes(participant))
  );
}

const badness = { good: 0, slow: 1, no_pictures: 2 } as const;

function isBetter(one: LineState, other: LineState): boolean {
  return (
    badness[one.down] <= badness[other.down] &&
    badness[one.up] <= badness[other.up] &&
    one.slow_for.every((participant) => other.slow_for.includes(participant))
  );
}

/** Reads {@link Outgoing} from the sending connection's statistics. */
export function outgoingOf(report: RTCStatsReport, maxBps: number): Outgoing | null {
  let target_bps: number | null = null;
  let max_bps = 0;
  let round_trip_s: number | null = null;
  let loss_share: number | null = null;
  for (const stats of report.values()) {
    if (stats.type === "outbound-rtp" && stats.kind === "video" && stats.active !== false && stats.targetBitrate > 0) {
      target_bps = (target_bps ?? 0) + stats.targetBitrate;
      max_bps += maxBps;
    } else if (stats.type === "remote-inbound-rtp") {
      if (typeof stats.fractionLost === "number") loss_share = Math.max(loss_share ?? 0, stats.fractionLost);
    } else if (stats.type === "candidate-pair" && stats.nominated && typeof stats.currentRoundTripTime === "number") {
      round_trip_s = stats.currentRoundTripTime;
    }
  }
  return target_bps === null ? null : { target_bps, max_bps, round_trip_s, loss_share };
}
