/**
 * Puts senders and receivers of an RTCPeerConnection under encryption, and holds the page's half
 * of the sending gate.
 *
 * A transform must be attached before media can flow: see docs/API.md on `encodedInsertableStreams`.
 */
import type { MediaKind, MediaSource, ParticipantId, TrackKey, TransformOptions } from "../worker/protocol.js";
import { SealedVisitError } from "./errors.js";
import type { WorkerClient } from "./worker-client.js";

/** The name of a track to send. */
export interface SenderOptions {
  /** Opaque, unique among this participant's tracks; receivers must name the same. */
  readonly track: string;
  readonly source: MediaSource;
  /** Only for a sender without a track yet. */
  readonly kind?: MediaKind;
}

/** Whose track arrives. Frames of anyone else, or of another track, are dropped. */
export interface ReceiverOptions {
  readonly participant: ParticipantId;
  readonly track: string;
  /** Only where the receiver's track is not known yet. */
  readonly kind?: MediaKind;
}

/** A sender whose frames leave encrypted or not at all. */
export interface ProtectedSender {
  readonly sender: RTCRtpSender;
  readonly track: string;
  readonly source: MediaSource;
  /** @internal */
  readonly key: TrackKey;
  /**
   * Sends another MediaStreamTrack, or none. Use this instead of the sender's own `replaceTrack`:
   * while the gate is closed the track is only remembered.
   */
  replaceTrack(track: MediaStreamTrack | null): Promise<void>;
  /** Forgets the sender; its frames are dropped from now on. */
  release(): void;
}

/** A receiver whose frames are decrypted or dropped. */
export interface ProtectedReceiver {
  readonly receiver: RTCRtpReceiver;
  readonly participant: ParticipantId;
  readonly track: string;
  /** @internal */
  readonly key: TrackKey;
  /** The receiver carries another track from now on. */
  rebind(options: ReceiverOptions): void;
  release(): void;
}

interface EncodedStreams {
  readonly readable: ReadableStream;
  readonly writable: WritableStream;
}

/** Chromium's older API. */
interface WithEncodedStreams {
  createEncodedStreams?(): EncodedStreams;
}

/** @internal Which API this browser has for encoded frames. */
export function transformApi(): "script-transform" | "encoded-streams" | null {
  if (typeof RTCRtpScriptTransform === "function") return "script-transform";
  if (typeof RTCRtpSender === "function" && "createEncodedStreams" in RTCRtpSender.prototype) return "encoded-streams";
  return null;
}

/** @internal Protects tracks for one worker, and opens or closes the gate for all its senders. */
export class Protection {
  readonly #client: WorkerClient;
  readonly #senders = new Set<GatedSender>();
  #nextKey: TrackKey = 1;
  #isOpen = true;

  constructor(client: WorkerClient) {
    this.#client = client;
  }

  protectSender(sender: RTCRtpSender, options: SenderOptions): ProtectedSender {
    if (sender.track !== null && sender.transport?.state === "connected") {
      throw new SealedVisitError(
        "transform-attached-late",
        "the sender is connected already: frames may have left unencrypted. Protect it before negotiation, " +
          "on a connection made with encodedInsertableStreams",
      );
    }
    const kind = options.kind ?? kindOf(sender.track);
    const key = this.#nextKey++;
    this.#attach(sender, { direction: "send", key, track: options.track, kind, source: options.source });
    const gated = new GatedSender(sender, options, key, () => {
      this.#senders.delete(gated);
      this.#client.request<"detach">({ r: "detach", key }).catch(() => undefined);
    });
    this.#senders.add(gated);
    if (!this.#isOpen) gated.close();
    return gated;
  }

  /** Call it synchronously in the `track` event. */
  protectReceiver(receiver: RTCRtpReceiver, options: ReceiverOptions): ProtectedReceiver {
    const kind = options.kind ?? kindOf(receiver.track);
    const key = this.#nextKey++;
    const { track, participant } = options;
    this.#attach(receiver, { direction: "receive", key, track, kind, participant });
    const client = this.#client;
    return {
      receiver,
      participant,
      track,
      key,
      rebind: (other) => {
        client
          .request<"rebind">({ r: "rebind", key, participant: other.participant, track: other.track })
          .catch(() => undefined);
      },
      release: () => {
        client.request<"detach">({ r: "detach", key }).catch(() => undefined);
      },
    };
  }

  /** Takes every track off its sender, synchronously: no encoded frame follows. */
  close(): void {
    this.#isOpen = false;
    for (const sender of this.#senders) sender.close();
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    for (const sender of this.#senders) sender.open();
  }

  #attach(target: RTCRtpSender | RTCRtpReceiver, options: TransformOptions): void {
    const api = transformApi();
    if (api === "script-transform") {
      target.transform = new RTCRtpScriptTransform(this.#client.worker, options);
      return;
    }
    const streams = (target as WithEncodedStreams).createEncodedStreams?.();
    if (!streams) {
      throw new SealedVisitError("transform-unsupported", "this browser cannot transform encoded frames");
    }
    const { readable, writable } = streams;
    this.#client
      .request<"attach_streams">(
        { r: "attach_streams", options, readable, writable },
        { transfer: [readable, writable] },
      )
      // Streams that nobody reads carry no frame: failing is closed.
      .catch(() => undefined);
  }
}

/** Keeps the track that is wanted apart from the one that is on the sender. */
class GatedSender implements ProtectedSender {
  readonly sender: RTCRtpSender;
  readonly track: string;
  readonly source: MediaSource;
  readonly key: TrackKey;
  #wanted: MediaStreamTrack | null;
  #isOpen = true;
  readonly #onRelease: () => void;

  constructor(sender: RTCRtpSender, options: SenderOptions, key: TrackKey, onRelease: () => void) {
    this.sender = sender;
    this.track = options.track;
    this.source = options.source;
    this.key = key;
    this.#wanted = sender.track;
    this.#onRelease = onRelease;
  }

  async replaceTrack(track: MediaStreamTrack | null): Promise<void> {
    this.#wanted = track;
    if (this.#isOpen) await this.sender.replaceTrack(track);
  }

  release(): void {
    this.#onRelease();
  }

  close(): void {
    this.#isOpen = false;
    // A connection that is closed has nothing to detach.
    this.sender.replaceTrack(null).catch(() => undefined);
  }

  open(): void {
    this.#isOpen = true;
    this.sender.replaceTrack(this.#wanted).catch(() => undefined);
  }
}

function kindOf(track: MediaStreamTrack | null): MediaKind {
  if (track?.kind === "audio" || track?.kind === "video") return track.kind;
  throw new SealedVisitError("bad-argument", "without a track its kind must be given: audio or video");
}
