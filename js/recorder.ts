/**
 * The declared recorder: one more member of the visit, with a worker, pass and leaf of its own.
 *
 * It waits outside the group until everyone has granted and the host adds it. Then it receives
 * everyone's media like any member, composes one picture and one sound, and hands MediaRecorder's
 * slices to its worker, which seals each before anything else happens to it. When it is removed
 * (pause, stop, withdrawal) the part is closed; after a pause it waits again.
 *
 * A recorder that cannot record leaves the group: the others then see that nobody records.
 */
import type {
  CompactJws,
  ParticipantId,
  PartEndReason,
  RecordingId,
  RoundId,
  SpoolStatus,
  SpoolWarning,
  TrackId,
  VisitState,
} from "../worker/protocol.js";
import type { CaptureOptions } from "./capture.js";
import { assertNever, SealedVisitError, throwIfAborted, untilAborted } from "./errors.js";
import { TypedEventTarget } from "./events.js";
import type { HealthReport } from "./health.js";
import { connectMember, type Member, type MemberOptions } from "./member.js";
import { Protection } from "./protect.js";
import { RunningPart } from "./running-part.js";
import { gapOf, type GapReason, type Hole } from "./slice-watch.js";
import { assertCanRecord } from "./support.js";
import { UnloadGuard } from "./unload-guard.js";
import type { WorkerClient } from "./worker-client.js";

export interface RecorderOptions extends MemberOptions, CaptureOptions {
  /** Base URL of the vault. */
  readonly vaultUrl: string | URL;
  /** Whether opening needs the vault's share. Default true: without it a deletion cannot reach copies. */
  readonly shareRequired?: boolean;
  /**
   * Asked when the vault no longer takes the upload capability (401, 403): sign the host in again
   * and give a new capability for this part, or null to try again later.
   */
  readonly renewCapability?: (part: { recording: RecordingId; part: number }) => Promise<string | null>;
  readonly iceServers?: readonly RTCIceServer[];
}

/** What the recorder does now. */
export type RecorderState =
  /** Outside the group; it sees and hears nothing. */
  | { readonly phase: "waiting" }
  /** In the group; nothing is recorded yet. */
  | { readonly phase: "starting"; readonly part: number }
  | {
      readonly phase: "recording";
      readonly recording: RecordingId;
      readonly part: number;
      readonly mixed: TrackId;
      readonly since_ms: number;
      /** Media that is sealed and on disk, microseconds. */
      readonly sealed_media_us: number;
      /** Media that a crash would lose now, milliseconds. */
      readonly unsealed_tail_ms: number;
      /** How far the picture's encoder is behind the sound. */
      readonly picture_lag_ms: number;
    }
  | { readonly phase: "ending"; readonly recording: RecordingId; readonly part: number; readonly reason: PartEndReason }
  | { readonly phase: "ended"; readonly reason: "visit_over" | "stopped" | "closed" }
  | { readonly phase: "failed"; readonly error: SealedVisitError };

/** What a part lacks, on its own time. */
export interface RecordingGap {
  readonly part: number;
  readonly from_us: number;
  readonly to_us: number;
  readonly reason: GapReason;
}

export interface RecorderEvents {
  state: RecorderState;
  /** How far each part is: sealed, uploaded, safe. */
  progress: SpoolStatus;
  /** Whether each participant's sound and picture arrive in what is sealed; on changes, within 5 s. */
  recorder_health: HealthReport;
  /** Something is not in the recording, and its manifest says so. */
  gap: RecordingGap;
  /** The vault's signed receipt, verified. */
  receipt: { readonly recording: RecordingId; readonly part: number; readonly receipt: CompactJws };
  /** Something a person should know about the storage on this device. */
  warning: SpoolWarning;
  problem: SealedVisitError;
}

/** @internal Use `visit.prepareRecorder` or `joinAsRecorder`. */
export async function connectRecorder(options: RecorderOptions): Promise<Recorder> {
  await assertCanRecord();
  return Recorder.of(await connectMember("recorder", options), options);
}

/** See the module. Made by `visit.prepareRecorder` or `joinAsRecorder`. */
export class Recorder extends TypedEventTarget<RecorderEvents> implements AsyncDisposable {
  /** The recorder's participant id: consent is asked for exactly this one. */
  readonly participant: ParticipantId;
  readonly #client: WorkerClient;
  readonly #options: RecorderOptions;
  readonly #protection: Protection;
  readonly #unloadGuard = new UnloadGuard(() => this.hasUnsentBytes);
  readonly #spools = new Map<string, SpoolStatus>();
  readonly #uploading = new Set<Promise<void>>();
  #group: VisitState;
  #state: RecorderState = { phase: "waiting" };
  #recording: { readonly id: RecordingId; readonly round: RoundId | null; nextPart: number } | null = null;
  /** The part being made, from being let in to being removed. */
  #part: RunningPart | null = null;
  #mustBeOutFirst = false;
  /** The part before is still being sealed; its upload may last longer. */
  #isEnding = false;
  #isClosed = false;

  /** @internal */
  static of(member: Member, options: RecorderOptions): Recorder {
    return new Recorder(member, options);
  }

  private constructor({ client, state }: Member, options: RecorderOptions) {
    super();
    this.#client = client;
    this.#options = options;
    this.#group = state;
    this.participant = state.me.participant;
    this.#protection = new Protection(client);
    this.#listen(client);
    this.#onGroup(state);
  }

  get state(): RecorderState {
    return this.#state;
  }

  /** Every part that this recorder made, and how safe each is. */
  get spools(): readonly SpoolStatus[] {
    return [...this.#spools.values()];
  }

  /**
   * Whether closing the page now would leave bytes behind that only this device has: from being let in to the receipt,
   * or until a server that gives none has everything. What logs people out when they are idle waits while it is true.
   */
  get hasUnsentBytes(): boolean {
    return this.#part !== null || this.#uploading.size > 0 || this.spools.some(isUnsent);
  }

  /** Marks this moment; `text` is sealed with the recording and shown to nobody else. */
  mark(text = ""): void {
    this.#part?.line({ event: "mark", text });
  }

  /** Resolves when every ended part is uploaded, and confirmed where the vault gives receipts. */
  async untilUploaded({ signal }: { signal?: AbortSignal } = {}): Promise<readonly SpoolStatus[]> {
    while (this.#uploading.size > 0) {
      throwIfAborted(signal);
      await untilAborted(Promise.all(this.#uploading), signal);
    }
    return this.spools;
  }

  /**
   * Live media goes first: while `yields`, the upload takes little of the line. `visit.prepareRecorder` does this by
   * itself, from the line of the page's own call; call it where the recorder shares a line with a call of another page.
   */
  yieldUpload(yields: boolean): void {
    this.#client.request<"yield_upload">({ r: "yield_upload", yields }).catch(() => undefined);
  }

  /** Lets go of a part that was uploaded to a server which gives no receipts. */
  async release(recording: RecordingId, part: number): Promise<void> {
    await this.#client.request<"release">({ r: "release", recording, part });
  }

  /** Leaves the group, ends the part, and waits until it is safe, or `signal` is aborted. */
  async close({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endPart("stopped");
    await this.#leave();
    try {
      await this.untilUploaded(signal ? { signal } : {});
    } finally {
      this.#unloadGuard.dispose();
      await this.#client
        .request<"close">({ r: "close" }, { signal: AbortSignal.timeout(2_000) })
        .catch(() => undefined);
      this.#client.terminate();
      if (this.#state.phase !== "failed") this.#setState({ phase: "ended", reason: "closed" });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #listen(client: WorkerClient): void {
    client.on("state", ({ state }) => this.#onGroup(state));
    client.on("core", ({ event }) => {
      if (event.e !== "recorder_left") return;
      // A recorder that was stopped may briefly still be in the group. It must leave before it begins again.
      this.#mustBeOutFirst = this.#group.phase === "live";
      this.#endPart(event.why);
    });
    client.on("spool", ({ status }) => this.#onSpool(status));
    client.on("spool_warning", ({ warning }) => this.emit("warning", warning));
    client.on("receipt", ({ recording, part, receipt }) => this.emit("receipt", { recording, part, receipt }));
    client.on("capability_needed", ({ recording, part }) => void this.#renew(recording, part));
    for (const name of ["track_failed", "upload_problem"] as const)
      client.on(name, ({ error }) => this.emit("problem", SealedVisitError.fromFailure(error)));
    client.on("part_failed", ({ error }) => this.#fail(SealedVisitError.fromFailure(error)));
    client.on("relay_refused", ({ error }) => this.#fail(SealedVisitError.fromFailure(error)));
    client.on("fatal", ({ error }) => this.#fail(SealedVisitError.fromFailure(error)));
  }

  #onGroup(state: VisitState): void {
    this.#group = state;
    this.#part?.onGroup(state);
    if (this.#state.phase === "failed" || this.#isClosed) return;
    switch (state.phase) {
      case "connecting":
      case "rekeying":
        break;
      case "waiting":
        this.#mustBeOutFirst = false;
        break;
      case "live":
        if (!this.#part && !this.#mustBeOutFirst && !this.#isEnding) void this.#begin();
        break;
      case "ended":
        this.#endPart(state.end_reason === "removed" ? "removed" : "stopped");
        this.#setState({ phase: "ended", reason: "visit_over" });
        break;
      default:
        assertNever(state.phase);
    }
  }

  async #begin(): Promise<void> {
    const round = this.#group.consent?.round ?? null;
    if (this.#recording?.round !== round) this.#recording = null;
    const asked = this.#recording?.nextPart ?? 0;
    const running = new RunningPart(this.#client, this.#protection, this.#options, this.#group, {
      onHealth: (report) => this.emit("recorder_health", report),
      onProblem: (error) => this.emit("problem", error),
      onHole: (hole) => {
        if (this.#part !== running) return;
        this.#tellGap(hole);
        // Still a member, with everyone's grant: the next part begins as soon as this one is sealed.
        this.emit("problem", holeError(hole));
        this.#endPart("failed");
      },
      onSoundGap: (hole) => {
        if (this.#part === running) this.#tellGap(hole);
      },
      onFailure: (error) => {
        if (this.#part === running) this.#fail(error);
      },
    });
    this.#part = running;
    this.#setState({ phase: "starting", part: asked });
    try {
      // Another number than asked for, when an earlier page of this recorder recorded under the same round.
      const { recording, mixed, part } = await running.begin(this.#recording?.id ?? null, asked);
      this.#recording = { id: recording, round, nextPart: part + 1 };
      // Removed meanwhile: the end of the part is under way already.
      if (this.#part !== running) return;
      const since_ms = Date.now();
      const nothing = { sealed_media_us: 0, unsealed_tail_ms: 0, picture_lag_ms: 0 };
      this.#setState({ phase: "recording", recording, part, mixed, since_ms, ...nothing });
    } catch (error) {
      if (this.#part === running) this.#fail(asError("capture-failed", "the recording could not be started", error));
    }
  }

  #endPart(reason: PartEndReason): void {
    const running = this.#part;
    if (!running) return;
    this.#part = null;
    this.#isEnding = true;
    const uploading = this.#finishPart(running, reason)
      .catch((error: unknown) => {
        this.emit("problem", asError("internal", "the part could not be finished in this page", error));
      })
      .finally(() => this.#uploading.delete(uploading));
    this.#uploading.add(uploading);
    if (this.#state.phase === "recording") {
      const { recording, part } = this.#state;
      this.#setState({ phase: "ending", recording, part, reason });
    }
  }

  async #finishPart(running: RunningPart, reason: PartEndReason): Promise<void> {
    try {
      await running.end(reason);
    } finally {
      this.#isEnding = false;
      if (this.#state.phase === "ending" || this.#state.phase === "starting") this.#setState({ phase: "waiting" });
      // Let in again while the part before was being ended.
      if (this.#group.phase === "live" && !this.#isClosed) this.#onGroup(this.#group);
    }
    await running.untilUploaded();
  }

  #tellGap(hole: Hole): void {
    if (this.#state.phase === "recording") this.emit("gap", { part: this.#state.part, ...gapOf(hole) });
  }

  /** A recorder that cannot record must not stay where it could see. */
  #fail(error: SealedVisitError): void {
    if (this.#state.phase === "failed" || this.#state.phase === "ended") return;
    this.#endPart("failed");
    this.#setState({ phase: "failed", error });
    void this.#leave();
  }

  async #leave(): Promise<void> {
    if (this.#group.phase === "ended") return;
    const signal = AbortSignal.timeout(3_000);
    await this.#client.request<"command">({ r: "command", command: { c: "leave" } }, { signal }).catch(() => undefined);
  }

  #onSpool(status: SpoolStatus): void {
    this.#spools.set(`${status.recording}/${status.part}`, status);
    this.emit("progress", status);
    const { recording, part, sealed_media_us } = status;
    if (this.#state.phase !== "recording" || this.#state.recording !== recording || this.#state.part !== part) return;
    const unsealed_tail_ms = this.#part?.unsealedTailMs(sealed_media_us) ?? 0;
    const picture_lag_ms = this.#part?.pictureLagMs ?? 0;
    this.#setState({ ...this.#state, sealed_media_us, unsealed_tail_ms, picture_lag_ms });
  }

  async #renew(recording: RecordingId, part: number): Promise<void> {
    const capability = (await this.#options.renewCapability?.({ recording, part }).catch(() => null)) ?? null;
    await this.#client.request<"capability">({ r: "capability", recording, part, capability }).catch(() => undefined);
  }

  #setState(state: RecorderState): void {
    this.#state = state;
    this.emit("state", state);
  }
}

function isUnsent({ state }: SpoolStatus): boolean {
  return state === "sealed";
}

function holeError({ fromMs, toMs, reason }: Hole): SealedVisitError {
  const missingMs = Math.round(toMs - fromMs);
  const why = {
    frozen: "MediaRecorder delivered nothing",
    asleep: "this device slept",
    asleep_or_clock_set: "this device slept, or its clock was set ahead by so much",
    no_sound: "the browser's sound stopped",
  }[reason];
  const message = `${missingMs} ms are not recorded: ${why}; a new part begins`;
  return new SealedVisitError("capture-failed", message, { detail: { what: reason, missing_ms: missingMs } });
}

function asError(
  code: "capture-failed" | "relay-refused" | "internal",
  message: string,
  cause: unknown,
): SealedVisitError {
  return cause instanceof SealedVisitError ? cause : new SealedVisitError(code, message, { cause });
}
