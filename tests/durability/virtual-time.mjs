/**
 * Time that passes only when nothing is under way.
 *
 * While installed, timers, `Date.now`, `performance.now` and `AbortSignal.timeout` of this process are ours. Requests
 * to the outside (the vault, a real process) take no time: the clock stands still until `io` says that none is under
 * way, other than those that a fault keeps waiting. Then the next timer is due at once. Node's own networking keeps
 * its real timers: it takes them from its internals.
 */
const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  dateNow: Date.now,
  performanceNow: performance.now,
  abortTimeout: AbortSignal.timeout,
};

export const realNowMs = () => real.dateNow.call(Date);
export const realDelay = (ms) => new Promise((resolve) => real.setTimeout(resolve, ms));

/** What is under way outside of this process. */
export class InFlight {
  #count = 0;
  #stalled = 0;
  #changed = () => {};

  get isIdle() {
    return this.#count === this.#stalled;
  }

  /** `promise` is waited for, however long it takes, and no time passes. */
  track(promise) {
    const end = this.begin();
    promise.then(end, end);
    return promise;
  }

  /** The same, by hand: call what is returned when it is over. */
  begin() {
    return this.#add(1, 0);
  }

  /** One of those under way waits for a timer: time may pass meanwhile. */
  stall() {
    return this.#add(0, 1);
  }

  #add(count, stalled) {
    this.#count += count;
    this.#stalled += stalled;
    this.#changed();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#count -= count;
      this.#stalled -= stalled;
      this.#changed();
    };
  }

  /** Resolves at the next change. */
  change() {
    return new Promise((resolve) => {
      const timer = real.setTimeout(resolve, 20);
      this.#changed = () => {
        real.clearTimeout(timer);
        resolve(undefined);
      };
    });
  }

  toString() {
    return `${this.#count} under way, ${this.#stalled} of them stalled`;
  }
}

export class VirtualTime {
  #io;
  #now;
  #start;
  #timers = new Map();
  #nextId = 1;

  constructor(io) {
    this.#io = io;
    this.#start = realNowMs();
    this.#now = this.#start;
  }

  get now() {
    return this.#now;
  }

  /** Virtual milliseconds since this clock was made. */
  get elapsed() {
    return this.#now - this.#start;
  }

  install() {
    globalThis.setTimeout = /** @type {any} */ ((act, ms = 0, ...args) => this.#add(() => act(...args), ms, null));
    globalThis.setInterval = /** @type {any} */ (
      (act, ms = 0, ...args) => this.#add(() => act(...args), ms, Math.max(1, ms))
    );
    // A page of an earlier run may still tidy up: its timers are not these.
    globalThis.clearTimeout = (timer) => {
      if (this.#timers.get(timer?.id) === timer) this.#timers.delete(timer?.id);
    };
    globalThis.clearInterval = globalThis.clearTimeout;
    Date.now = () => Math.floor(this.#now);
    performance.now = () => this.elapsed;
    AbortSignal.timeout = (ms) => {
      const abort = new AbortController();
      this.#add(() => abort.abort(new DOMException("timed out", "TimeoutError")), ms, null);
      return abort.signal;
    };
  }

  uninstall() {
    globalThis.setTimeout = real.setTimeout;
    globalThis.setInterval = real.setInterval;
    globalThis.clearTimeout = real.clearTimeout;
    globalThis.clearInterval = real.clearInterval;
    Date.now = real.dateNow;
    performance.now = real.performanceNow;
    AbortSignal.timeout = real.abortTimeout;
    this.#timers.clear();
  }

  /** For whoever directs the run; a page's death does not end it. */
  delay(ms) {
    return new Promise((resolve) => {
      this.#add(resolve, ms, null).isOurs = true;
    });
  }

  /** The page is gone, and all its timers. */
  forgetPage() {
    for (const timer of this.#timers.values()) if (!timer.isOurs) this.#timers.delete(timer.id);
  }

  /** Lets time pass until `isOver()`. Throws when it never can be, or not within the given time. */
  async run(isOver, { limitMs, limitRealMs }) {
    const giveUpAt = realNowMs() + limitRealMs;
    for (;;) {
      await this.#settle();
      if (isOver()) return;
      if (realNowMs() > giveUpAt) throw new Error(`nothing came of it in ${limitRealMs} real ms (${this.#io})`);
      if (!this.#io.isIdle) {
        await this.#io.change();
        continue;
      }
      const next = this.#earliest();
      if (!next)
        throw new Error(
          `nothing is under way and no timer is set: it would wait for ever at ${Math.round(this.elapsed)} ms (${this.#io})`,
        );
      this.#now = Math.max(this.#now, next.at);
      if (this.elapsed > limitMs) throw new Error(`nothing came of it in ${limitMs} virtual ms`);
      if (next.everyMs === null) this.#timers.delete(next.id);
      else next.at = this.#now + next.everyMs;
      next.act();
    }
  }

  #add(act, ms, everyMs) {
    const id = this.#nextId++;
    const timer = { id, act, at: this.#now + Math.max(0, ms), everyMs, unref: () => timer, ref: () => timer };
    this.#timers.set(id, timer);
    return timer;
  }

  #earliest() {
    let earliest = null;
    for (const timer of this.#timers.values()) {
      if (!earliest || timer.at < earliest.at || (timer.at === earliest.at && timer.id < earliest.id)) earliest = timer;
    }
    return earliest;
  }

  /** What follows from what happened: promises, and the callbacks of sockets that are ready. */
  async #settle() {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => real.setImmediate(resolve));
  }
}
