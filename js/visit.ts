/**
 * A person's membership in a visit: what a telehealth page holds while the visit lasts.
 *
 * Everything shown comes from {@link Visit.state}, which is replaced as a whole; the `state` event
 * says so. The page never sees keys or frames: those live in the worker.
 */
import type {
  AnswerInput,
  Command,
  CompactJws,
  ConsentRequestInput,
  CoreEvent,
  LineQuality,
  ParticipantId,
  StopMeasured,
  VisitState,
  WorkerStats,
} from "../worker/protocol.js";
import { SealedVisitError } from "./errors.js";
import { TypedEventTarget } from "./events.js";
import { MediaSession, type MediaSessionOptions } from "./media-session.js";
import { connectMember, type Member, type MemberOptions } from "./member.js";
import {
  type ProtectedReceiver,
  type ProtectedSender,
  Protection,
  type ReceiverOptions,
  type SenderOptions,
} from "./protect.js";
import { joinAsRecorder } from "./on-demand.js";
import type { Recorder, RecorderOptions } from "./recorder.js";
import { postWithdrawal } from "./withdrawal.js";
import type { WorkerClient } from "./worker-client.js";

export interface JoinOptions extends MemberOptions {
  /**
   * The vault's base URL, relative to the page. A withdrawal goes there straight from this page, beside its way through
   * the group; without it take it from the `withdrawal` event and hand it over yourself.
   */
  readonly vaultUrl?: string | URL;
}

/** Frames that were dropped on one track; reported at most once a second. */
export interface FramesDropped {
  readonly direction: "send" | "receive";
  readonly track: string;
  /** Whose track; null for an own one. */
  readonly participant: ParticipantId | null;
  /** A code, see docs/errors/drop-reasons.md. */
  readonly reason: string;
  /** Since the last report. */
  readonly count: number;
}

/** First encoded frame of a track at the transform (`seen`), and first that was encrypted or decrypted (`passed`). */
export interface FirstFrame {
  readonly key: number;
  readonly stage: "seen" | "passed";
  /** On the clock of `performance.timeOrigin + performance.now()`. */
  readonly at_ms: number;
}

export interface VisitEvents {
  /** The new state. */
  state: VisitState;
  /** Something that happened once. */
  event: CoreEvent;
  /** Another member's `send(bytes)`. */
  message: { readonly from: ParticipantId; readonly data: Uint8Array };
  /** Connection with the relay. While it is lost, media may go on. */
  relay: { readonly status: "connected" } | { readonly status: "lost"; readonly retry_in_ms: number };
  line_quality: LineQuality;
  first_frame: FirstFrame;
  frames_dropped: FramesDropped;
  /**
   * What this person signed: a grant or a refusal, to keep. With a grant come two withdrawals from it, signed ahead, with
   * the wish to delete and with the wish to keep: the pass key is gone after the visit, and `postWithdrawal` takes either
   * then. Give them to this person only.
   */
  signed: { readonly statement: CompactJws; readonly withdrawals: readonly CompactJws[] };
  /** This person's signed withdrawal; anyone who holds it can submit it to the vault. */
  withdrawal: { readonly statement: CompactJws };
  /** The vault has recorded the withdrawal. */
  withdrawal_recorded: { readonly statement: CompactJws };
  /** How fast a withdrawal, or a hold, stopped the frames. */
  withdrawal_measured: StopMeasured;
  /** Something failed that concerns one track or connection; the visit goes on. */
  problem: SealedVisitError;
  /** The visit cannot go on in this page. Nothing is sent or decrypted anymore. */
  failed: SealedVisitError;
  ended: VisitState;
}

interface CallOptions {
  readonly signal?: AbortSignal;
}

/** See {@link Visit.hold}. */
export interface Hold {
  /** Sends again, unless a withdrawal is under way. */
  release(): void;
}

/**
 * Joins a visit. Resolves when the relay has accepted this participant, who then waits for
 * admission (`state.phase === "waiting"`) or is in (`"live"`).
 *
 * @throws SealedVisitError `relay-unreachable` (after 20 s), `relay-refused`, `pass-refused`, `wasm-load-failed`, `aborted`, ...
 */
export async function joinVisit(options: JoinOptions): Promise<Visit> {
  return Visit.of(await connectMember("member", options), options);
}

/** See {@link joinVisit}. */
export class Visit extends TypedEventTarget<VisitEvents> implements AsyncDisposable {
  readonly #client: WorkerClient;
  readonly #options: JoinOptions;
  readonly #protection: Protection;
  readonly #sessions = new Set<MediaSession>();
  readonly #recorders = new Set<Recorder>();
  #state: VisitState;
  #isClosed = false;
  /** Withdrawals that the core has not answered yet, and holds: no state may open the gate. */
  #stops = 0;

  /** @internal Use {@link joinVisit}. */
  static of(member: Member, options: JoinOptions): Visit {
    return new Visit(member, options);
  }

  private constructor({ client, state }: Member, options: JoinOptions) {
    super();
    this.#client = client;
    this.#options = options;
    this.#state = state;
    this.#protection = new Protection(client);
    this.#applyGate(state);
    this.#listen(client);
  }

  /** The newest state: frozen in time, replaced by the next. */
  get state(): VisitState {
    return this.#state;
  }

  // --- Media ------------------------------------------------------------------------------------

  /** Encrypts what `sender` sends, on any RTCPeerConnection. Call it before negotiation. */
  protectSender(sender: RTCRtpSender, options: SenderOptions): ProtectedSender {
    return this.#protection.protectSender(sender, options);
  }

  /** Decrypts what `receiver` receives. Call it synchronously in the `track` event. */
  protectReceiver(receiver: RTCRtpReceiver, options: ReceiverOptions): ProtectedReceiver {
    return this.#protection.protectReceiver(receiver, options);
  }

  /**
   * Sends and receives through the relay's own media server. While this participant still waits for
   * admission the session waits with it; listen to its events at once.
   */
  connectMedia(options: MediaSessionOptions = {}): MediaSession {
    const session = MediaSession.of(this.#client, this.#protection, this.#whenLive());
    this.#sessions.add(session);
    session.on("problem", (error) => this.emit("problem", error));
    session.on("line", ({ up }) => {
      for (const recorder of this.#recorders) recorder.yieldUpload(up !== "good");
    });
    session.start(options).catch((cause: unknown) => {
      this.emit("problem", new SealedVisitError("media-failed", "media could not be connected", { cause }));
    });
    return session;
  }

  // --- Admission --------------------------------------------------------------------------------

  /** Host: lets a waiting participant in. */
  admit(participant: ParticipantId, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "admit", participant }, options);
  }

  /**
   * Host, during a recording: asks a person in the waiting room for consent, sealed to that person alone. A person who agrees
   * comes in at once, the grant in the same commit; a refusal shows in `state.waiting`.
   */
  askWaiting(participant: ParticipantId, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "ask_waiting", participant }, options);
  }

  /** Host: takes the recorder out and lets a waiting participant in, by one commit. The consent round stays open. */
  pauseAndAdmit(participant: ParticipantId, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "pause_and_admit", participant }, options);
  }

  /** Host: refuses a waiting participant. */
  deny(participant: ParticipantId, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "deny", participant }, options);
  }

  /**
   * Host: admits no newcomer; participants who were in the visit can come back. It is a rule of the group, which every member
   * checks. `false` unlocks. Admitting someone new meanwhile fails with `visit-locked`.
   */
  lock(locked = true, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "lock", locked }, options);
  }

  /** Host: makes another clinician of the roster the host. */
  handOver(participant: ParticipantId, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "hand_over", participant }, options);
  }

  /** Host: removes a participant; its keys open nothing that is sent from then on. Anyone may remove the recorder. */
  remove(participant: ParticipantId, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "remove", participant }, options);
  }

  /** Notes that this person compared the safety code with the others. */
  markVerified(options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "mark_verified" }, options);
  }

  // --- Consent and recording --------------------------------------------------------------------

  /** Host: opens a consent round for this recorder, purpose, recipients, texts. */
  requestConsent(request: ConsentRequestInput, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "request_consent", ...request }, options);
  }

  /** Agrees, for everyone at this device: both layers of every answer must be true. Also from the waiting room, when asked. */
  grant(answer: AnswerInput, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "answer", kind: "grant", ...answer }, options);
  }

  refuse(answer: AnswerInput, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "answer", kind: "refusal", ...answer }, options);
  }

  /**
   * Host: confirms the place that this participant stated with its answer. Evidence, signed, for the recording's manifest;
   * it blocks nothing.
   */
  confirmPlace(participant: ParticipantId, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "confirm_place", participant }, options);
  }

  /**
   * Stops sending, as {@link withdraw} does, before the person is asked what should happen: in this same task
   * every track is taken off its sender, and the worker drops what is still under way. The recorder stays in the visit.
   *
   * Call it in the click's handler. `clickedAt` is that event's `timeStamp`, for the measurement.
   */
  hold({ clickedAt }: { clickedAt?: number } = {}): Hold {
    this.#stop();
    this.#client
      .request<"hold">({ r: "hold", ...(clickedAt !== undefined && { clicked_at_ms: onSharedClock(clickedAt) }) })
      .catch(() => undefined);
    let isHeld = true;
    return {
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#client
          .request<"release_hold">({ r: "release_hold" })
          .catch(() => undefined)
          .finally(() => this.#letGo());
      },
    };
  }

  /**
   * Takes consent back. In this very task every track is taken off its sender; the worker drops
   * what is still under way. Sending resumes automatically in an epoch that the recorder cannot derive.
   *
   * Call it in the click's handler. `clickedAt` is that event's `timeStamp`, for the measurement.
   */
  withdraw({
    wish,
    clickedAt,
    signal,
  }: { wish?: "keep" | "delete"; clickedAt?: number } & CallOptions = {}): Promise<void> {
    this.#stop();
    const command: Command = wish === undefined ? { c: "withdraw" } : { c: "withdraw", wish };
    const clicked = clickedAt === undefined ? {} : { clicked_at_ms: onSharedClock(clickedAt) };
    return this.#client
      .request<"command">({ r: "command", command, ...clicked }, signal ? { signal } : {})
      .then(() => undefined)
      .finally(() => this.#letGo());
  }

  /**
   * Prepares the declared recorder in this page: a member of its own, with its own worker and pass.
   * It waits outside until everyone has granted and {@link startRecorder} adds it.
   */
  async prepareRecorder(
    options: Omit<RecorderOptions, keyof MemberOptions> & Pick<MemberOptions, "getPass"> & Partial<MemberOptions>,
  ): Promise<Recorder> {
    const { relayUrl, rootKey, clinicDocument, workerUrl, composeWorkerUrl, openWorkerUrl, wasmUrl } = this.#options;
    const inherited = { relayUrl, rootKey, clinicDocument, workerUrl, composeWorkerUrl, openWorkerUrl, wasmUrl };
    const set = Object.fromEntries(Object.entries(inherited).filter(([, value]) => value !== undefined));
    const recorder = await joinAsRecorder({ displayName: "Recorder", ...set, ...options } as RecorderOptions);
    this.#recorders.add(recorder);
    if ([...this.#sessions].some(({ line }) => line.up !== "good")) recorder.yieldUpload(true);
    return recorder;
  }

  /**
   * Host: adds the recorder that everyone agreed to, also after a pause. Refused unless everyone has granted, and while no
   * sound or picture gets through (`media-blocked`).
   */
  async startRecorder(options: CallOptions = {}): Promise<void> {
    const sessions = [...this.#sessions].filter(({ isClosed }) => !isClosed);
    const isSilent = sessions.length > 0 && !sessions.some(({ flow }) => flow === "flowing");
    // What lacks otherwise is the core's to say.
    if (isSilent && this.#state.consent?.all_agreed) {
      throw new SealedVisitError("media-blocked", "no sound or picture gets through, so nothing would be recorded");
    }
    return this.#command({ c: "start_recorder" }, options);
  }

  /** Anyone: removes the recorder. The round stays open, and the host may start it again. */
  pause(options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "pause" }, options);
  }

  /** The person who paused: agrees to resume recording. */
  agreeToResume(options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "agree_resume" }, options);
  }

  /** Host: removes the recorder and ends the round. */
  stopRecording(options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "stop_recording" }, options);
  }

  // --- The rest ---------------------------------------------------------------------------------

  /** Sends bytes to all members, encrypted, never recorded or stored. At most 16 KiB. The bytes are copied. */
  send(data: Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.#command({ c: "send", data }, options);
  }

  /** Counts of encrypted, decrypted and dropped frames. */
  stats({ signal }: CallOptions = {}): Promise<WorkerStats> {
    return this.#client.request<"stats">({ r: "stats" }, signal ? { signal } : {});
  }

  /** Leaves for good; keys are destroyed. The MediaStreamTracks stay the page's. */
  async leave(options: CallOptions = {}): Promise<void> {
    if (this.#isClosed) return;
    try {
      if (this.#state.phase !== "ended") await this.#command({ c: "leave" }, options);
    } finally {
      await this.#close();
    }
  }

  /** Host: ends the visit for all. */
  async end(options: CallOptions = {}): Promise<void> {
    if (this.#isClosed) return;
    await this.#command({ c: "end" }, options);
    await this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave().catch(() => this.#close());
  }

  async #command(command: Command, { signal }: CallOptions): Promise<void> {
    await this.#client.request<"command">({ r: "command", command }, signal ? { signal } : {});
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#protection.close();
    for (const session of this.#sessions) session.close();
    await this.#client.request<"close">({ r: "close" }, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    this.#client.terminate();
  }

  /** Beside the group, so that neither relay nor recorder can keep a withdrawal from the vault. */
  async #handOver(statement: CompactJws): Promise<void> {
    const { vaultUrl } = this.#options;
    const posting = vaultUrl === undefined ? null : postWithdrawal(vaultUrl, statement);
    this.emit("withdrawal", { statement });
    try {
      await posting;
      if (posting) this.emit("withdrawal_recorded", { statement });
    } catch (error) {
      if (error instanceof SealedVisitError) this.emit("problem", error);
    }
  }

  #whenLive(): Promise<void> {
    if (this.#state.phase === "live") return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.on("state", ({ phase }) => {
        if (phase !== "live" && phase !== "ended") return;
        stop();
        if (phase === "live") resolve();
      });
    });
  }

  #stop(): void {
    this.#protection.close();
    this.#stops += 1;
  }

  #letGo(): void {
    this.#stops -= 1;
    this.#applyGate(this.#state);
  }

  #applyGate({ sending, phase }: VisitState): void {
    if (this.#stops > 0) return;
    // Before the first epoch the worker drops everything; taking tracks off would only delay the start.
    if (sending.open || (sending.reason === "not_live" && phase !== "ended")) this.#protection.open();
    else this.#protection.close();
  }

  #listen(client: WorkerClient): void {
    client.on("state", ({ state }) => {
      const hasEnded = state.phase === "ended" && this.#state.phase !== "ended";
      this.#state = state;
      this.#applyGate(state);
      this.emit("state", state);
      if (hasEnded) this.emit("ended", state);
    });
    client.on("core", ({ event }) => this.emit("event", event));
    client.on("message", ({ from, data }) => this.emit("message", { from, data }));
    client.on("relay", (event) =>
      this.emit(
        "relay",
        event.status === "connected" ? { status: "connected" } : { status: "lost", retry_in_ms: event.retry_in_ms },
      ),
    );
    client.on("line_quality", ({ e: _e, ...quality }) => this.emit("line_quality", quality));
    client.on("first_frame", ({ key, stage, at_ms }) => this.emit("first_frame", { key, stage, at_ms }));
    client.on("frames_dropped", ({ direction, track, participant, reason, count }) =>
      this.emit("frames_dropped", { direction, track, participant, reason, count }),
    );
    client.on("signed", ({ statement, withdrawals }) => this.emit("signed", { statement, withdrawals }));
    client.on("withdrawal", ({ statement }) => void this.#handOver(statement));
    client.on("withdrawal_measured", ({ e: _e, ...measured }) => this.emit("withdrawal_measured", measured));
    client.on("track_failed", ({ error }) => this.emit("problem", SealedVisitError.fromFailure(error)));
    client.on("relay_refused", ({ error }) => this.emit("failed", SealedVisitError.fromFailure(error)));
    client.on("fatal", ({ error }) => {
      this.#protection.close();
      for (const session of this.#sessions) session.close();
      this.emit("failed", SealedVisitError.fromFailure(error));
    });
  }
}

/** An event's `timeStamp` on the clock that page and worker share. */
function onSharedClock(timeStamp: number): number {
  return performance.timeOrigin + timeStamp;
}
