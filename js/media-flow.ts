/** Whether a media session's sound and picture get through, from how its connections are. */

/**
 * `connecting`: nothing gets through, not yet or not for the moment; also when there is nothing to send or to receive.
 * `blocked`: something that should get through has not for 20 s. The session goes on trying.
 */
export type MediaFlow = "connecting" | "flowing" | "blocked";

/** Longer than a browser needs to find a way, and to replace a connection that was lost. */
const BLOCKED_AFTER_MS = 20_000;
/** Timers of a computer that slept are late; it did not try in the meantime. */
const LONGEST_STEP_MS = 2_000;

/** @internal */
export class FlowWatch {
  #flow: MediaFlow = "connecting";
  #lacksMs = 0;
  #checkedMs = 0;

  get flow(): MediaFlow {
    return this.#flow;
  }

  /**
   * To be called on every change and about every second. `connected`: for each direction in which something is to get
   * through, whether it is connected. `canTry`: not while waiting to be let in, nor without the relay, when nothing can be
   * negotiated: that is no firewall.
   * True when the flow has changed.
   */
  check(connected: readonly boolean[], canTry: boolean, nowMs: number): boolean {
    const step = Math.min(nowMs - this.#checkedMs, LONGEST_STEP_MS);
    this.#checkedMs = nowMs;
    const lacks = connected.includes(false);
    if (!lacks) this.#lacksMs = 0;
    else if (canTry) this.#lacksMs += step;
    const before = this.#flow;
    if (this.#lacksMs >= BLOCKED_AFTER_MS) this.#flow = "blocked";
    else this.#flow = connected.includes(true) ? "flowing" : "connecting";
    return this.#flow !== before;
  }
}
