/**
 * One of a media session's two connections, and an end for whatever it is asked to do.
 *
 * WebRTC never settles the promises of a connection that is closed while they are pending, and a computer that was asleep
 * may find its connection in exactly that state. So every step goes through `done`, which rejects when the connection is
 * lost, and counts one as lost whose browser does not answer.
 */
import { SealedVisitError } from "./errors.js";

/** How long a connection may be disconnected before it is replaced. */
const DISCONNECTED_LIMIT_MS = 4_000;
/** How long the browser may take for one step of a negotiation, on a slow and busy machine. */
const STEP_LIMIT_MS = 15_000;

export interface MediaConnectionHooks {
  onState(state: "connecting" | "connected" | "disconnected"): void;
  /** It will not come back; it is closed already. Called once, and not after `close`. */
  onLost(): void;
}

export class MediaConnection {
  readonly rtc: RTCPeerConnection;
  readonly #hooks: MediaConnectionHooks;
  readonly #closed = new AbortController();
  #lostTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(iceServers: readonly RTCIceServer[], hooks: MediaConnectionHooks) {
    this.#hooks = hooks;
    // Chromium's option, which Firefox accepts too: media waits until a transform is attached.
    const configuration: RTCConfiguration & { encodedInsertableStreams: boolean } = {
      encodedInsertableStreams: true,
      bundlePolicy: "max-bundle",
      iceServers: [...iceServers],
    };
    this.rtc = new RTCPeerConnection(configuration);
    this.rtc.addEventListener("connectionstatechange", () => this.#onState());
  }

  get isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** What `promise` gives; or a rejection as soon as the connection is gone. */
  async done<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#closed;
    // Also when nobody waits for it anymore.
    promise.catch(() => undefined);
    let onClosed: () => void = () => undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = new Promise<never>((_, reject) => {
      onClosed = () => reject(new SealedVisitError("media-failed", "the media connection was lost"));
      timer = setTimeout(() => this.#lose(), STEP_LIMIT_MS);
      if (signal.aborted) onClosed();
      else signal.addEventListener("abort", onClosed, { once: true });
    });
    try {
      return await Promise.race([promise, end]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onClosed);
    }
  }

  /** For good, and by our own choice. */
  close(): void {
    clearTimeout(this.#lostTimer);
    this.rtc.close();
    this.#closed.abort();
  }

  #lose(): void {
    if (this.isClosed) return;
    this.close();
    this.#hooks.onLost();
  }

  #onState(): void {
    if (this.isClosed) return;
    clearTimeout(this.#lostTimer);
    switch (this.rtc.connectionState) {
      case "connected":
      case "connecting":
        this.#hooks.onState(this.rtc.connectionState);
        break;
      case "disconnected":
        this.#hooks.onState("disconnected");
        this.#lostTimer = setTimeout(() => this.#lose(), DISCONNECTED_LIMIT_MS);
        break;
      case "failed":
        this.#lose();
        break;
      default:
        break;
    }
  }
}
