/**
 * Media through the relay's own server: one connection that sends, one that receives.
 *
 * Invariants: both connections are made so that media waits for its transform; transforms are
 * attached before negotiation (sending) or synchronously in `track` (receiving); transceivers have
 * one direction. Negotiations are queued: there is one at a time for each connection, and each of its steps ends with
 * the connection at the latest, so that the next one has its turn.
 */
import type { MediaKind, MediaSource, OfferedTrack, ParticipantId, PublishedTrack } from "../worker/protocol.js";
import { SealedVisitError } from "./errors.js";
import { TypedEventTarget } from "./events.js";
import { InterruptionWatch } from "./interruption.js";
import { LINE_CHECK_MS, type LineState, LineWatch, outgoingOf } from "./line-watch.js";
import { FlowWatch, type MediaFlow } from "./media-flow.js";
import { MediaConnection } from "./media-connection.js";
import type { ProtectedReceiver, ProtectedSender, Protection } from "./protect.js";
import { answerPreferences, hasOtherSession, preferHandledCodecs } from "./sdp.js";
import type { WorkerClient } from "./worker-client.js";

/** How long the relay may take to answer an offer. */
const ANSWER_LIMIT_MS = 10_000;
const DEFAULT_CAMERA_MAX_BPS = 1_200_000;

export interface MediaSessionOptions {
  /** Its tracks are sent: sound as `microphone`, picture as `camera`. */
  readonly stream?: MediaStream;
  /** Default true. */
  readonly receive?: boolean;
  readonly iceServers?: readonly RTCIceServer[];
  /** Upper limit for a camera's picture, bits per second. Default 1,200,000. */
  readonly cameraMaxBps?: number;
  /** Upper limit for a shared screen, bits per second. Default 2,000,000. */
  readonly screenMaxBps?: number;
}

/** A track that this page sends. */
export interface LocalTrack {
  /** Opaque id, the same at receivers. */
  readonly id: string;
  readonly kind: MediaKind;
  readonly source: MediaSource;
  /** What is sent now; null when nothing is. */
  readonly mediaTrack: MediaStreamTrack | null;
  /** The device is taken from the page for now: see `local_interrupted`. */
  readonly isInterrupted: boolean;
}

/** A track that arrives. `mediaTrack` stays the same while the remote track lasts. */
export interface RemoteTrack {
  readonly id: string;
  readonly participant: ParticipantId;
  readonly kind: MediaKind;
  readonly source: MediaSource;
  readonly mediaTrack: MediaStreamTrack;
  readonly receiver: RTCRtpReceiver;
}

export type MediaConnectionState = "new" | "connecting" | "connected" | "reconnecting" | "closed";

export interface MediaSessionEvents {
  remote_added: RemoteTrack;
  remote_removed: RemoteTrack;
  /**
   * A device ended on its own: unplugged, taken, or its permission revoked. It sends nothing anymore; another one
   * takes its place with `replaceTrack`. A shared screen that ends is removed.
   */
  local_ended: LocalTrack;
  /**
   * A device was taken from the page, for more than a moment: by a telephone's call, a laptop's lid, a switch. Its track
   * stays live, and is silent or dark until `local_resumed`: nobody can hear or see the person. Tell them.
   */
  local_interrupted: LocalTrack;
  /** It was given back, or something else took its place with `replaceTrack`. */
  local_resumed: LocalTrack;
  /** Of the sending and the receiving connection. */
  connection: { readonly publish: MediaConnectionState; readonly subscribe: MediaConnectionState };
  /** Whether sound and picture get through. */
  flow: MediaFlow;
  /** The line became slow, or good again: what a page should tell its user. */
  line: LineState;
  problem: SealedVisitError;
}

interface Publication {
  readonly id: string;
  readonly kind: MediaKind;
  readonly source: MediaSource;
  mediaTrack: MediaStreamTrack | null;
  /** Of `mediaTrack`. */
  interruption: InterruptionWatch | null;
  transceiver: RTCRtpTransceiver | null;
  protectedSender: ProtectedSender | null;
}

interface Subscription {
  offered: OfferedTrack;
  remote: RemoteTrack;
  readonly transceiver: RTCRtpTransceiver;
  readonly protectedReceiver: ProtectedReceiver;
}

/** See {@link Visit.connectMedia}. */
export class MediaSession extends TypedEventTarget<MediaSessionEvents> implements AsyncDisposable {
  readonly #client: WorkerClient;
  readonly #protection: Protection;
  readonly #isMember: Promise<void>;
  #options: MediaSessionOptions = {};
  #publisher: MediaConnection | null = null;
  #subscriber: MediaConnection | null = null;
  readonly #publications = new Map<string, Publication>();
  readonly #subscriptions = new Map<string, Subscription>();
  #publishQueue: Promise<unknown> = Promise.resolve();
  #subscribeQueue: Promise<unknown> = Promise.resolve();
  #offered: readonly OfferedTrack[] = [];
  #states = { publish: "new" as MediaConnectionState, subscribe: "new" as MediaConnectionState };
  #offersWaiting = 0;
  #answersRefused = 0;
  #isClosed = false;
  readonly #stop: (() => void)[] = [];
  readonly #line = new LineWatch((state) => this.emit("line", state));
  readonly #flow = new FlowWatch();
  #isMemberNow = false;
  #isRelayUp = true;

  /** @internal */
  static of(client: WorkerClient, protection: Protection, isMember?: Promise<void>): MediaSession {
    return new MediaSession(client, protection, isMember);
  }

  private constructor(client: WorkerClient, protection: Protection, isMember: Promise<void> = Promise.resolve()) {
    super();
    this.#client = client;
    this.#protection = protection;
    this.#isMember = isMember;
  }

  /** @internal */
  async start(options: MediaSessionOptions): Promise<void> {
    this.#options = options;
    this.#stop.push(
      this.#client.on("subscribe_offer", (offer) => {
        this.#subscribeQueue = this.#subscribeQueue
          .then(() => this.#answer(offer.generation, offer.sdp, offer.tracks))
          .catch((error: unknown) => this.#problem("the relay's offer could not be answered", error));
      }),
      this.#client.on("relay", ({ status }) => {
        this.#isRelayUp = status === "connected";
        if (status === "connected") this.#onRelayBack();
      }),
      this.#client.on("media_refused", ({ code, error }) => {
        // While an offer waits for its answer, the refusal is of that offer.
        if (code === "media" && this.#offersWaiting === 0) this.#onAnswerRefused(SealedVisitError.fromFailure(error));
      }),
      this.#client.on("line_quality", (quality) => this.#line.onQuality(quality)),
    );
    const checking = setInterval(() => void this.#checkLine(), LINE_CHECK_MS);
    this.#stop.push(() => clearInterval(checking));
    for (const track of options.stream?.getTracks() ?? []) {
      this.#addPublication(track, track.kind === "audio" ? "microphone" : "camera");
    }
    // Media is for members of the group: the relay refuses it to who still waits.
    await this.#isMember;
    if (this.#isClosed) return;
    this.#isMemberNow = true;
    if (options.receive !== false) await this.#client.request<"subscribe">({ r: "subscribe" });
    if (this.#publications.size > 0) await this.#negotiate();
  }

  get local(): readonly LocalTrack[] {
    return [...this.#publications.values()].map(localOf);
  }

  get remotes(): readonly RemoteTrack[] {
    return [...this.#subscriptions.values()].map(({ remote }) => remote);
  }

  /** Sends another track, e.g. a shared screen. Resolves when it is negotiated. */
  async add(mediaTrack: MediaStreamTrack, { source }: { source: MediaSource }): Promise<LocalTrack> {
    this.#assertOpen();
    const publication = this.#addPublication(mediaTrack, source);
    await this.#negotiate();
    return localOf(publication);
  }

  /** Ends a track that is sent. The MediaStreamTrack stays the page's to stop. */
  async remove(id: string): Promise<void> {
    const publication = this.#publications.get(id);
    if (!publication) return;
    this.#publications.delete(id);
    publication.interruption?.stop();
    publication.protectedSender?.release();
    const { transceiver } = publication;
    const connection = this.#publisher;
    if (!transceiver || !connection || this.#isClosed) return;
    await connection.done(transceiver.sender.replaceTrack(null)).catch(() => undefined);
    // The connection that comes after a loss has no place for it.
    if (connection.isClosed) return;
    transceiver.direction = "inactive";
    await this.#negotiate();
  }

  /** Sends from another device without negotiation; null sends nothing, and lets the device go dark. */
  async replaceTrack(id: string, mediaTrack: MediaStreamTrack | null): Promise<void> {
    const publication = this.#publications.get(id);
    if (!publication) throw new SealedVisitError("bad-argument", "no such local track");
    publication.mediaTrack = mediaTrack;
    this.#watch(publication, mediaTrack);
    const connection = this.#publisher;
    if (!connection || !publication.protectedSender) return;
    try {
      await connection.done(publication.protectedSender.replaceTrack(mediaTrack));
    } catch (error) {
      // The connection that comes after a loss sends it from the start.
      if (!connection.isClosed) throw error;
    }
  }

  /**
   * Mutes or unmutes what is sent from a source: silence, or a black picture, goes on to be sent
   * encrypted, so that the line stays warm. To let a camera's light go out use `replaceTrack(id, null)`.
   */
  setMuted(source: MediaSource, isMuted: boolean): void {
    for (const publication of this.#publications.values()) {
      if (publication.source === source && publication.mediaTrack) publication.mediaTrack.enabled = !isMuted;
    }
  }

  /** How the line is: see the `line` event. */
  get line(): LineState {
    return this.#line.state;
  }

  /** Whether sound and picture get through: see the `flow` event. */
  get flow(): MediaFlow {
    return this.#flow.flow;
  }

  /** @internal */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** WebRTC's own statistics of both connections. */
  async rtcStats(): Promise<{ publish: RTCStatsReport | null; subscribe: RTCStatsReport | null }> {
    return {
      publish: (await this.#publisher?.rtc.getStats()) ?? null,
      subscribe: (await this.#subscriber?.rtc.getStats()) ?? null,
    };
  }

  /** Ends both connections. MediaStreamTracks that were sent stay the page's to stop. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stop of this.#stop) stop();
    for (const { interruption, protectedSender } of this.#publications.values()) {
      interruption?.stop();
      protectedSender?.release();
    }
    for (const subscription of [...this.#subscriptions.values()]) this.#endSubscription(subscription);
    this.#publisher?.close();
    this.#subscriber?.close();
    this.#setState("publish", "closed");
    this.#setState("subscribe", "closed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  // --- Sending ----------------------------------------------------------------------------------

  #addPublication(mediaTrack: MediaStreamTrack, source: MediaSource): Publication {
    const kind: MediaKind = mediaTrack.kind === "audio" ? "audio" : "video";
    const publication: Publication = {
      id: crypto.randomUUID(),
      kind,
      source,
      mediaTrack,
      interruption: null,
      transceiver: null,
      protectedSender: null,
    };
    this.#publications.set(publication.id, publication);
    this.#watch(publication, mediaTrack);
    if (this.#publisher) this.#attach(this.#publisher.rtc, publication);
    return publication;
  }

  /** `ended` does not come of a track that the page itself has stopped. */
  #watch(publication: Publication, mediaTrack: MediaStreamTrack | null): void {
    const { interruption: before } = publication;
    before?.stop();
    publication.interruption = mediaTrack && new InterruptionWatch(mediaTrack, () => this.#onInterruption(publication));
    if (before?.isInterrupted) this.emit("local_resumed", localOf(publication));
    mediaTrack?.addEventListener("ended", () => {
      const isSent = this.#publications.has(publication.id) && publication.mediaTrack === mediaTrack;
      if (!isSent || this.#isClosed) return;
      publication.interruption?.stop();
      this.emit("local_ended", localOf(publication));
      // By the browser's own button.
      if (publication.source === "screen") void this.remove(publication.id);
    });
  }

  #onInterruption(publication: Publication): void {
    const local = localOf(publication);
    this.emit(local.isInterrupted ? "local_interrupted" : "local_resumed", local);
  }

  #attach(connection: RTCPeerConnection, publication: Publication): void {
    const { id, kind, source, mediaTrack } = publication;
    const transceiver = connection.addTransceiver(mediaTrack ?? kind, {
      direction: "sendonly",
      ...(kind === "video" ? { sendEncodings: [this.#encoding(source)] } : {}),
    });
    preferHandledCodecs(transceiver, kind);
    publication.transceiver = transceiver;
    publication.protectedSender = this.#protection.protectSender(transceiver.sender, { track: id, source, kind });
  }

  #encoding(source: MediaSource): RTCRtpEncodingParameters {
    const { cameraMaxBps = DEFAULT_CAMERA_MAX_BPS, screenMaxBps = 2_000_000 } = this.#options;
    return { maxBitrate: source === "screen" ? screenMaxBps : cameraMaxBps };
  }

  #negotiate(): Promise<void> {
    const next = this.#publishQueue.then(() => this.#offer());
    this.#publishQueue = next.catch(() => undefined);
    return next;
  }

  async #offer(): Promise<void> {
    if (this.#isClosed) return;
    const connection = this.#publisher ?? this.#newPublisher();
    const { rtc } = connection;
    try {
      await connection.done(rtc.setLocalDescription(await connection.done(rtc.createOffer())));
      const sdp = rtc.localDescription?.sdp ?? "";
      const answering = this.#nextAnswer();
      answering.catch(() => undefined);
      await connection.done(this.#client.request<"publish">({ r: "publish", sdp, tracks: this.#publishedTracks() }));
      const answer = await connection.done(answering);
      const current = rtc.currentRemoteDescription?.sdp;
      if (current !== undefined && hasOtherSession(current, answer)) {
        // The relay was restarted: this connection leads nowhere anymore.
        this.#dropPublisher();
        throw new SealedVisitError("media-failed", "the relay has forgotten this connection");
      }
      await connection.done(rtc.setRemoteDescription({ type: "answer", sdp: answer }));
    } catch (error) {
      if (rtc.signalingState === "have-local-offer") {
        await connection.done(rtc.setLocalDescription({ type: "rollback" })).catch(() => undefined);
      }
      throw new SealedVisitError("media-failed", "the media connection could not be negotiated", { cause: error });
    }
  }

  #newPublisher(): MediaConnection {
    const connection = this.#newConnection("publish", () => {
      this.#dropPublisher();
      if (this.#publications.size > 0) void this.#renegotiate();
    });
    this.#publisher = connection;
    for (const publication of this.#publications.values()) this.#attach(connection.rtc, publication);
    return connection;
  }

  #dropPublisher(): void {
    this.#publisher?.close();
    this.#publisher = null;
    for (const publication of this.#publications.values()) {
      publication.protectedSender?.release();
      publication.transceiver = null;
      publication.protectedSender = null;
    }
  }

  /** After a loss: until it works, or the session is closed. */
  async #renegotiate(): Promise<void> {
    for (let attempt = 0; !this.#isClosed; attempt++) {
      try {
        await this.#negotiate();
        return;
      } catch (error) {
        this.#problem("sending could not be re-established yet", error);
        await new Promise((resolve) => setTimeout(resolve, Math.min(500 * 2 ** attempt, 8_000)));
      }
    }
  }

  #publishedTracks(): PublishedTrack[] {
    return [...this.#publications.values()].flatMap(({ id, kind, source, transceiver }) =>
      transceiver?.mid ? [{ mid: transceiver.mid, track: id, kind, source }] : [],
    );
  }

  #nextAnswer(): Promise<string> {
    this.#offersWaiting++;
    return new Promise((resolve, reject) => {
      const stop: (() => void)[] = [() => this.#offersWaiting--];
      const finish = (act: () => void) => {
        for (const end of stop) end();
        act();
      };
      const timer = setTimeout(() => {
        const message = `the relay did not answer within ${ANSWER_LIMIT_MS} ms`;
        finish(() => reject(new SealedVisitError("media-failed", message)));
      }, ANSWER_LIMIT_MS);
      stop.push(
        () => clearTimeout(timer),
        this.#client.on("publish_answer", ({ sdp }) => finish(() => resolve(sdp))),
        this.#client.on("media_refused", ({ error }) => finish(() => reject(SealedVisitError.fromFailure(error)))),
      );
    });
  }

  // --- Receiving --------------------------------------------------------------------------------

  async #answer(generation: number, sdp: string, tracks: readonly OfferedTrack[]): Promise<void> {
    if (this.#isClosed) return;
    const current = this.#subscriber?.rtc.currentRemoteDescription?.sdp ?? null;
    if (this.#subscriber && current !== null && hasOtherSession(current, sdp)) this.#endSubscriber();
    const connection = this.#subscriber ?? this.#newSubscriber();
    const { rtc } = connection;
    this.#offered = tracks;
    this.#rebind(tracks);
    await connection.done(rtc.setRemoteDescription({ type: "offer", sdp }));
    for (const transceiver of rtc.getTransceivers()) answerPreferences(transceiver);
    await connection.done(rtc.setLocalDescription(await connection.done(rtc.createAnswer())));
    const answer = rtc.localDescription?.sdp ?? "";
    const answered = this.#client.request<"subscribe_answer">({ r: "subscribe_answer", generation, sdp: answer });
    await connection.done(answered);
  }

  /** The relay gave up the receiving connection along with the answer. Replace it, with growing pauses. */
  #onAnswerRefused(error: SealedVisitError): void {
    if (this.#isClosed || this.#options.receive === false) return;
    this.#problem("the relay refused the description of what this page receives", error);
    this.#endSubscriber();
    this.#setState("subscribe", "reconnecting");
    const waitMs = Math.min(500 * 2 ** this.#answersRefused++, 8_000);
    const timer = setTimeout(
      () => this.#client.request<"subscribe">({ r: "subscribe" }).catch(() => undefined),
      waitMs,
    );
    this.#stop.push(() => clearTimeout(timer));
  }

  #newSubscriber(): MediaConnection {
    const connection = this.#newConnection("subscribe", () => {
      this.#endSubscriber();
      this.#client.request<"subscribe">({ r: "subscribe" }).catch(() => undefined);
    });
    connection.rtc.addEventListener("track", ({ transceiver, track }) => this.#onTrack(transceiver, track));
    this.#subscriber = connection;
    return connection;
  }

  /** The transform must be on the receiver before this event's task ends. */
  #onTrack(transceiver: RTCRtpTransceiver, mediaTrack: MediaStreamTrack): void {
    const { mid, receiver } = transceiver;
    const offered = this.#offered.find((candidate) => candidate.mid === mid);
    if (mid === null || !offered) {
      // Nobody announced it: nothing would decrypt it, so nothing takes it.
      transceiver.stop();
      return;
    }
    if (this.#subscriptions.has(mid)) return;
    const { participant, track, kind } = offered;
    const protectedReceiver = this.#protection.protectReceiver(receiver, { participant, track, kind });
    const subscription = { offered, remote: remoteOf(offered, mediaTrack, receiver), transceiver, protectedReceiver };
    this.#subscriptions.set(mid, subscription);
    this.emit("remote_added", subscription.remote);
  }

  /** Media sections are re-used: the transform of a section must know whose track it carries now. */
  #rebind(tracks: readonly OfferedTrack[]): void {
    for (const [mid, subscription] of [...this.#subscriptions]) {
      const offered = tracks.find((candidate) => candidate.mid === mid);
      const { participant, track } = subscription.offered;
      if (offered && offered.participant === participant && offered.track === track) continue;
      this.emit("remote_removed", subscription.remote);
      if (!offered) {
        // The transform stays, bound to a track that is gone, and drops what may still come.
        this.#subscriptions.delete(mid);
        this.#parked.set(mid, subscription);
        continue;
      }
      this.#bind(subscription, offered);
    }
    for (const [mid, subscription] of [...this.#parked]) {
      const offered = tracks.find((candidate) => candidate.mid === mid);
      if (!offered) continue;
      this.#parked.delete(mid);
      this.#subscriptions.set(mid, subscription);
      this.#bind(subscription, offered);
    }
  }

  /** Sections that carry nothing for the time being. */
  readonly #parked = new Map<string, Subscription>();

  #bind(subscription: Subscription, offered: OfferedTrack): void {
    subscription.protectedReceiver.rebind({ participant: offered.participant, track: offered.track });
    subscription.offered = offered;
    subscription.remote = remoteOf(offered, subscription.remote.mediaTrack, subscription.remote.receiver);
    this.emit("remote_added", subscription.remote);
  }

  #endSubscriber(): void {
    for (const subscription of [...this.#subscriptions.values()]) this.#endSubscription(subscription);
    for (const { protectedReceiver } of this.#parked.values()) protectedReceiver.release();
    this.#parked.clear();
    const connection = this.#subscriber;
    this.#subscriber = null;
    connection?.close();
  }

  #endSubscription(subscription: Subscription): void {
    subscription.protectedReceiver.release();
    this.#subscriptions.delete(subscription.offered.mid);
    this.emit("remote_removed", subscription.remote);
  }

  // --- Connections ------------------------------------------------------------------------------

  #newConnection(which: "publish" | "subscribe", onLost: () => void): MediaConnection {
    return new MediaConnection(this.#options.iceServers ?? [], {
      onState: (state) => {
        const isBack = state === "connecting" && this.#states[which] === "reconnecting";
        this.#setState(which, state === "disconnected" || isBack ? "reconnecting" : state);
      },
      onLost: () => {
        this.#setState(which, "reconnecting");
        onLost();
      },
    });
  }

  /** The relay may have forgotten us or restarted: subscribe again. */
  #onRelayBack(): void {
    if (this.#isClosed) return;
    if (this.#options.receive !== false) this.#client.request<"subscribe">({ r: "subscribe" }).catch(() => undefined);
    if (this.#publications.size > 0) void this.#renegotiate();
  }

  #checkFlow(): void {
    const connected: boolean[] = [];
    if (this.#publications.size > 0) connected.push(this.#states.publish === "connected");
    if (this.#offered.length > 0) connected.push(this.#states.subscribe === "connected");
    const canTry = this.#isMemberNow && this.#isRelayUp;
    if (this.#flow.check(connected, canTry, performance.now())) this.emit("flow", this.flow);
  }

  async #checkLine(): Promise<void> {
    this.#checkFlow();
    const report = await this.#publisher?.rtc.getStats().catch(() => null);
    if (this.#isClosed) return;
    const { cameraMaxBps = DEFAULT_CAMERA_MAX_BPS } = this.#options;
    this.#line.check(report ? outgoingOf(report, cameraMaxBps) : null, performance.now());
  }

  #setState(which: "publish" | "subscribe", state: MediaConnectionState): void {
    if (this.#states[which] === state) return;
    this.#states = { ...this.#states, [which]: state };
    if (which === "subscribe" && state === "connected") this.#answersRefused = 0;
    this.emit("connection", this.#states);
    this.#checkFlow();
  }

  #problem(message: string, cause: unknown): void {
    if (!this.#isClosed) this.emit("problem", new SealedVisitError("media-failed", message, { cause }));
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new SealedVisitError("closed", "the media session is closed");
  }
}

function localOf({ id, kind, source, mediaTrack, interruption }: Publication): LocalTrack {
  return { id, kind, source, mediaTrack, isInterrupted: interruption?.isInterrupted ?? false };
}

function remoteOf(offered: OfferedTrack, mediaTrack: MediaStreamTrack, receiver: RTCRtpReceiver): RemoteTrack {
  const { track: id, participant, kind, source } = offered;
  return { id, participant, kind, source, mediaTrack, receiver };
}
