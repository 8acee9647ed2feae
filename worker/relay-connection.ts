/**
 * The WebSocket to the relay: connects, notices within ten seconds that a line is dead, connects
 * again with capped exponential backoff and jitter for as long as it is wanted.
 *
 * It understands of the messages only what keeps the line: pings, and errors after which trying
 * again is of no use.
 */
import { Backoff } from "./backoff.js";
import type { RelayErrorCode, RelayMessage } from "./core-types.js";

/** A ping goes out after so long without a message from the relay. */
const PING_AFTER_MS = 4_000;
/** Without any message for so long the line is dead. */
const DEAD_AFTER_MS = 9_000;
const CHECK_EVERY_MS = 1_000;
/** How long an attempt to connect may take. */
const CONNECT_LIMIT_MS = 8_000;

/** `WebSocket.OPEN`. */
const OPEN = 1;

const FINAL_ERRORS: readonly RelayErrorCode[] = ["not_admitted", "replaced_by_another", "visit_over"];

export interface RelayHooks {
  readonly onOpen: () => void;
  readonly onMessage: (message: RelayMessage) => void;
  readonly onLost: (retryInMs: number) => void;
  /** No further attempt is made. */
  readonly onRefused: (code: RelayErrorCode, detail: string) => void;
}

/** What of the platform it needs; tests bring their own. */
export interface RelayPlatform {
  readonly open: (url: string) => WebSocket;
  readonly now: () => number;
  readonly random: () => number;
}

const browser: RelayPlatform = {
  open: (url) => new WebSocket(url),
  now: () => performance.now(),
  random: Math.random,
};

export class RelayConnection {
  readonly #url: string;
  readonly #hooks: RelayHooks;
  readonly #platform: RelayPlatform;
  readonly #backoff: Backoff;
  #socket: WebSocket | null = null;
  #heardAt = 0;
  #pingedAt = 0;
  #isOpen = false;
  #checkTimer: ReturnType<typeof setInterval> | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #isWanted = false;

  constructor(url: string, hooks: RelayHooks, platform: RelayPlatform = browser) {
    this.#url = url;
    this.#hooks = hooks;
    this.#platform = platform;
    this.#backoff = new Backoff({ firstMs: 250, capMs: 8_000 }, platform.random);
  }

  start(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#connect();
  }

  /** Messages to a lost connection are dropped: the core sends again what matters after the next `ready`. */
  send(message: object): void {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** The device says that it is online again: do not wait for the timer. */
  retryNow(): void {
    if (!this.#isWanted || this.#socket) return;
    clearTimeout(this.#retryTimer);
    this.#backoff.reset();
    this.#connect();
  }

  /** Gives up this connection for a new one. */
  reconnect(): void {
    if (this.#socket) this.#lose(this.#socket);
  }

  /** Closes for good, after what was sent has gone out. */
  stop(): void {
    this.#isWanted = false;
    clearTimeout(this.#retryTimer);
    clearInterval(this.#checkTimer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #connect(): void {
    const socket = this.#platform.open(this.#url);
    this.#socket = socket;
    this.#heardAt = this.#platform.now();
    this.#pingedAt = this.#heardAt;
    this.#isOpen = false;
    clearInterval(this.#checkTimer);
    this.#checkTimer = setInterval(() => this.#check(socket), CHECK_EVERY_MS);
    socket.addEventListener("open", () => {
      if (socket !== this.#socket) return;
      this.#isOpen = true;
      this.#heardAt = this.#platform.now();
      this.#hooks.onOpen();
    });
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (socket === this.#socket) this.#receive(data);
    });
    socket.addEventListener("close", () => this.#lose(socket));
    socket.addEventListener("error", () => this.#lose(socket));
  }

  #receive(data: unknown): void {
    this.#heardAt = this.#platform.now();
    const message = parse(data);
    if (!message || message.t === "pong") return;
    // The relay took us: only now is the line worth a fresh start of the backoff.
    if (message.t === "ready") this.#backoff.reset();
    if (message.t === "error") {
      const code = FINAL_ERRORS.find((final) => final === message.code);
      if (code) {
        this.stop();
        this.#hooks.onMessage(message);
        this.#hooks.onRefused(code, typeof message.detail === "string" ? message.detail : "");
        return;
      }
    }
    this.#hooks.onMessage(message);
  }

  #check(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    const now = this.#platform.now();
    const silentMs = now - this.#heardAt;
    if (!this.#isOpen) {
      if (silentMs > CONNECT_LIMIT_MS) this.#lose(socket);
      return;
    }
    if (silentMs > DEAD_AFTER_MS) {
      this.#lose(socket);
    } else if (silentMs > PING_AFTER_MS && now - this.#pingedAt > PING_AFTER_MS) {
      this.#pingedAt = now;
      this.send({ t: "ping" });
    }
  }

  #lose(socket: WebSocket): void {
    if (socket !== this.#socket || !this.#isWanted) return;
    this.#socket = null;
    clearInterval(this.#checkTimer);
    // A dead line would keep `close` waiting for its answer; nobody listens anymore.
    socket.close();
    const retryInMs = this.#backoff.nextMs();
    this.#retryTimer = setTimeout(() => this.#connect(), retryInMs);
    this.#hooks.onLost(retryInMs);
  }
}

/** A message that says what it is. The rest is the relay's word until the core, or the page, has checked it by using it. */
function parse(data: unknown): RelayMessage | null {
  if (typeof data !== "string") return null;
  try {
    const message: unknown = JSON.parse(data);
    const isMessage =
      typeof message === "object" && message !== null && "t" in message && typeof message.t === "string";
    return isMessage ? (message as RelayMessage) : null;
  } catch {
    return null;
  }
}
