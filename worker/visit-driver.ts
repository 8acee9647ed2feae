/**
 * Drives the visit core: relay messages, commands and the clock go in; what comes out is carried
 * out in order. Whatever is the relay's media signalling does not concern the core.
 */
import type {
  ClientMessage,
  Command,
  CompactJws,
  ConfirmedPlace,
  CoreConfig,
  Input,
  Output,
  RelayMessage,
  VisitCore,
  VisitMemory,
  VisitState,
} from "./core-types.js";
import { WorkerError } from "./failure.js";
import type { FrameCrypto } from "./frames/frame-crypto.js";
import { withPlainNames } from "./plain-name.js";
import type { Event } from "./protocol.js";
import { RelayConnection } from "./relay-connection.js";
import { sharedNowMs } from "./shared-clock.js";
import { SteadyClock } from "./steady-clock.js";
import type { VisitModule } from "./wasm.js";

export interface DriverHooks {
  readonly emit: (event: Event) => void;
  readonly onFatal: (error: unknown) => void;
  /** Someone's signed withdrawal from the open round. */
  readonly onWithdrawal: (statement: CompactJws) => void;
  /** The host confirmed the place that someone stated. */
  readonly onPlace: (confirmed: ConfirmedPlace) => void;
  /** Resolves when the memory is kept: nothing is sent before. */
  readonly onRemember: (memory: VisitMemory) => Promise<void>;
  /** Neither pass key nor memory is needed anymore. */
  readonly onForget: () => void;
}

interface PendingCommand {
  readonly resolve: (result: string | null) => void;
  readonly reject: (error: WorkerError) => void;
}

/** Longer ones fire at once; a tick that comes early sets the next. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class VisitDriver {
  readonly #core: VisitCore;
  readonly #frames: FrameCrypto;
  readonly #hooks: DriverHooks;
  readonly #relay: RelayConnection;
  readonly #commands = new Map<number, PendingCommand>();
  readonly #clock: SteadyClock;
  #nextCommand = 1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #queue: Input[] = [];
  #isDraining = false;
  #isDead = false;
  #state: VisitState | null = null;
  #coreGateOpen = false;
  /** Withdrawals that the core has not answered, and holds: the gate stays shut, whatever came before. */
  #stops = 0;
  /** Memories that are being written. */
  #saving = 0;
  /** What waits for them, in order. */
  #unsent: ClientMessage[] = [];
  #hasEnded = false;

  constructor(
    module: VisitModule,
    config: CoreConfig,
    { relayUrl, correctionMs }: { relayUrl: string; correctionMs: number },
    frames: FrameCrypto,
    hooks: DriverHooks,
  ) {
    this.#clock = new SteadyClock(correctionMs);
    this.#core = new module.VisitCore(
      config,
      this.now(),
      frames.engineOn(() => this.now()),
    );
    this.#frames = frames;
    this.#hooks = hooks;
    this.#relay = new RelayConnection(relayUrl, {
      onOpen: () => undefined,
      onMessage: (message) => this.#onRelayMessage(message),
      onLost: (retry_in_ms) => {
        // The core says again what matters.
        this.#unsent = [];
        this.#hooks.emit({ e: "relay", status: "lost", retry_in_ms });
        this.#feed({ t: "relay_closed" });
      },
      onRefused: (code, detail) => {
        const failure = { code: relayErrorCodes[code] ?? "relay-refused", message: detail || `the relay says ${code}` };
        this.#hooks.emit({ e: "relay_refused", error: failure });
      },
    });
  }

  get state(): VisitState | null {
    return this.#state;
  }

  connect(): void {
    this.#relay.start();
  }

  retryNow(): void {
    this.#relay.retryNow();
  }

  /** Media signalling goes to the relay as it is. */
  signal(message: object): void {
    this.#relay.send(message);
  }

  /** Resolves with what the core answers; rejects with a code `visit-...`. */
  command(command: Command): Promise<string | null> {
    if (this.#isDead) return Promise.reject(new WorkerError("closed", "the visit is closed in this worker"));
    const id = this.#nextCommand++;
    const isWithdrawal = command.c === "withdraw";
    if (isWithdrawal) {
      // Before anything else: not one more frame.
      this.hold();
    }
    const answer = new Promise<string | null>((resolve, reject) => {
      this.#commands.set(id, { resolve, reject });
      this.#feed({ t: "command", id, command });
    });
    if (!isWithdrawal) return answer;
    return answer.finally(() => this.releaseHold());
  }

  /** Shuts the gate, until `releaseHold` was called as often. */
  hold(): void {
    this.#stops += 1;
    this.#applyGate();
  }

  releaseHold(): void {
    this.#stops -= 1;
    this.#applyGate();
  }

  /** The connection and the keys are gone afterwards. */
  close(): void {
    if (this.#isDead) return;
    this.#die(new WorkerError("closed", "the visit is closed in this worker"));
    this.#core.free();
  }

  /** After a panic: the core is not called again, not even to free it. */
  abandon(): void {
    if (!this.#isDead) this.#die(new WorkerError("core-panicked", "the core failed"));
  }

  #die(error: WorkerError): void {
    this.#isDead = true;
    this.#unsent = [];
    clearTimeout(this.#timer);
    this.#relay.stop();
    this.#coreGateOpen = false;
    this.#frames.setGate(false);
    for (const { reject } of this.#commands.values()) reject(error);
    this.#commands.clear();
  }

  #onRelayMessage(message: RelayMessage): void {
    switch (message.t) {
      case "line_quality": {
        const { down_bps, loss_percent, picture, slow_for, up_limit_bps } = message;
        // The last three are newer than the relay may be.
        this.#hooks.emit({
          ...{ e: "line_quality", down_bps, loss_percent },
          ...{ picture: picture ?? "full", slow_for: slow_for ?? [], up_limit_bps: up_limit_bps ?? null },
        });
        break;
      }
      // The fields are the relay's; the page checks them by using them.
      case "publish_answer":
        this.#hooks.emit({ e: "publish_answer", sdp: message.sdp });
        break;
      case "subscribe_offer": {
        const { generation, sdp, tracks } = message;
        this.#hooks.emit({ e: "subscribe_offer", generation, sdp, tracks });
        break;
      }
      default:
        if (message.t === "error" && (message.code === "media" || message.code === "not_allowed")) {
          const detail = typeof message.detail === "string" ? message.detail : "";
          this.#hooks.emit({
            e: "media_refused",
            code: message.code,
            error: { code: "media-failed", message: `the relay says: ${detail}` },
          });
        }
        this.#feed({ t: "relay", message });
        if (message.t === "ready") this.#hooks.emit({ e: "relay", status: "connected" });
    }
  }

  /** The clock of everything that is decided and signed here. */
  now(): number {
    return this.#clock.now();
  }

  /** Outputs of one input are carried out before the next goes in. */
  #feed(input: Input): void {
    this.#queue.push(input);
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      for (let next = this.#queue.shift(); next && !this.#isDead; next = this.#queue.shift()) {
        for (const output of this.#core.handle(next, this.now())) this.#carryOut(output);
      }
    } catch (error) {
      this.abandon();
      this.#hooks.onFatal(error);
    } finally {
      this.#isDraining = false;
    }
  }

  #carryOut(output: Output): void {
    switch (output.t) {
      case "send":
        if (this.#saving > 0) this.#unsent.push(output.message);
        else this.#relay.send(output.message);
        break;
      case "remember":
        this.#saving += 1;
        void this.#hooks.onRemember(output.memory).finally(() => this.#onSaved());
        break;
      case "forget":
        this.#hooks.onForget();
        break;
      case "reconnect":
        this.#relay.reconnect();
        break;
      case "state":
        this.#onState(output.state);
        break;
      case "event":
        this.#hooks.emit({ e: "core", event: output.event });
        break;
      case "install_epoch":
        this.#frames.enterEpoch(output.leaves);
        break;
      case "clear_keys":
        this.#frames.leaveEpochs();
        break;
      case "gate":
        this.#coreGateOpen = output.open;
        this.#applyGate();
        break;
      case "timer":
        this.#setTimer(output.at_ms);
        break;
      case "done":
        this.#answer(output.id, ({ resolve }) => resolve(output.result ?? null));
        break;
      case "failed": {
        const { code, message } = output.error;
        const error = new WorkerError(`visit-${code.replaceAll("_", "-")}`, message);
        this.#answer(output.id, ({ reject }) => reject(error));
        break;
      }
      case "signed":
        this.#hooks.emit({ e: "signed", statement: output.statement, withdrawals: output.withdrawals });
        break;
      case "withdrawal":
        this.#hooks.onWithdrawal(output.statement);
        if (output.mine) this.#hooks.emit({ e: "withdrawal", statement: output.statement });
        break;
      case "place":
        this.#hooks.onPlace(output);
        break;
      case "message":
        this.#hooks.emit({ e: "message", from: output.from, data: output.data });
        break;
      default:
        unknownOutput(output);
    }
  }

  #onState(state: VisitState): void {
    const hasEnded = state.phase === "ended" && this.#state?.phase !== "ended";
    this.#state = state;
    this.#hooks.emit({ e: "state", state: withPlainNames(state) });
    if (hasEnded) {
      // Send the core's remaining output first.
      this.#hasEnded = true;
      queueMicrotask(() => this.#stopWhenSent());
    }
  }

  #onSaved(): void {
    this.#saving -= 1;
    if (this.#saving > 0) return;
    for (const message of this.#unsent.splice(0)) this.#relay.send(message);
    if (this.#hasEnded) this.#stopWhenSent();
  }

  #stopWhenSent(): void {
    if (this.#saving === 0) this.#relay.stop();
  }

  #applyGate(): void {
    const isOpen = this.#coreGateOpen && this.#stops === 0;
    this.#frames.setGate(isOpen);
    const reason = this.#state?.sending.reason;
    this.#hooks.emit({
      e: "gate",
      open: isOpen,
      ...(reason ? { reason } : {}),
      ...(isOpen ? {} : { closed_at_ms: sharedNowMs() }),
    });
  }

  #setTimer(atMs: number): void {
    clearTimeout(this.#timer);
    const inMs = Math.min(Math.max(0, atMs - this.now()), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => this.#feed({ t: "tick" }), inMs);
  }

  #answer(id: number, act: (pending: PendingCommand) => void): void {
    const pending = this.#commands.get(id);
    this.#commands.delete(id);
    if (pending) act(pending);
  }
}

const relayErrorCodes: Readonly<Record<string, string>> = {
  not_admitted: "pass-refused",
  replaced_by_another: "replaced-by-another",
  visit_over: "visit-over",
};

/** A core newer than this worker may say more; it must not say it unheard. */
function unknownOutput(output: never): never {
  throw new WorkerError("internal", `the core said ${JSON.stringify((output as { t?: unknown }).t)}, which is unknown`);
}
