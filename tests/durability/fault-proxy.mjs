/**
 * A line between recorder and vault that fails as told.
 *
 * `arm(fault)` hands it a fault; the next request that it fits suffers it, and `onHit` is told. Requests are passed on
 * whole; what a fault does to them and to their answers is in `#suffer`. `acknowledged` holds, for each track, the
 * highest offset that an answer of the vault gave out.
 */
import http from "node:http";

/** What a request is about, in the order in which it may be asked. */
function stepOf({ method, url }) {
  if (url.endsWith("/v1/recordings")) return "open";
  if (/\/envelopes\/[^/]+$/.test(url)) return "envelope";
  if (/\/uploads$/.test(url)) return "create";
  if (/\/uploads\/[^/]+$/.test(url)) return method === "HEAD" ? "offset" : "append";
  if (/\/(finish|close)$/.test(url)) return "end";
  return "other";
}

export class FaultProxy {
  #io;
  #time = null;
  #armed = [];
  #held = [];
  #seen = [];
  target = null;
  isOffline = false;
  /** @type {(fault: any, step?: string) => void} */
  onHit = () => {};
  /** Told when a request found nobody, and when the vault answered 5xx by itself. */
  onRefused = () => {};
  onServerError = () => {};
  /** Told of every request. */
  onRequest = (/** @type {string} */ _step, /** @type {any} */ _message) => {};
  /** Bearer tokens that the vault is shown expired ones for. */
  expired = new Map();
  acknowledged = new Map();

  constructor(io) {
    this.#io = io;
    this.server = http.createServer((request, response) => {
      this.#handle(request, response).catch(() => request.socket.destroy());
    });
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", () => resolve(undefined)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (this.server.address());
    this.url = `http://127.0.0.1:${port}`;
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** A new run: nothing of the last one is remembered. */
  reset(time) {
    this.#time = time;
    this.#armed = [];
    this.#held = [];
    this.#seen = [];
    this.isOffline = false;
    this.expired.clear();
    this.acknowledged.clear();
    this.onHit = () => {};
    this.onRefused = () => {};
    this.onServerError = () => {};
    this.onRequest = () => {};
  }

  arm(fault) {
    this.#armed.push(fault);
  }

  disarm() {
    this.#armed = [];
  }

  async #handle(request, response) {
    const close = new Promise((resolve) => request.socket.once("close", resolve));
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const message = {
      method: request.method,
      url: request.url,
      headers: { ...request.headers },
      body: Buffer.concat(chunks),
    };
    delete message.headers.host;
    delete message.headers.connection;
    const line = {
      response,
      close,
      destroy: () => request.socket.destroy(),
      answer: async (answer) => {
        if (request.socket.destroyed) return;
        response.writeHead(answer.status, answer.headers);
        await new Promise((resolve) => response.end(answer.body, resolve));
        this.onRequest(`-> ${answer.status}`, message);
        this.#release(message);
      },
    };
    if (this.isOffline) {
      this.onRefused();
      line.destroy();
      return;
    }
    const step = stepOf(message);
    this.onRequest(step, message);
    const index = this.#armed.findIndex((fault) => !fault.steps || fault.steps.includes(step));
    if (index < 0) {
      await this.#pass(message, line);
      return;
    }
    const [fault] = this.#armed.splice(index, 1);
    await this.#suffer(fault, step, message, line);
  }

  async #pass(message, line) {
    const answer = await this.#forward(message);
    if (answer === null) line.destroy();
    else await line.answer(answer);
  }

  async #suffer(fault, step, message, line) {
    const hit = () => this.onHit(fault, step);
    const share = (total) => Math.floor(total * (fault.share ?? 0.5));
    switch (fault.kind) {
      case "cut_request": {
        hit();
        await this.#forward(message, { bodyBytes: share(message.body.length) });
        line.destroy();
        return;
      }
      case "cut_answer": {
        hit();
        // The vault does what it was asked; nobody hears of it.
        const done = this.#io.track(this.#forward(message));
        if (fault.isLate) await done;
        line.destroy();
        await done;
        return;
      }
      case "truncate_answer": {
        const answer = await this.#forward(message);
        if (answer === null || answer.body.length === 0) {
          hit();
          line.destroy();
          return;
        }
        hit();
        line.response.writeHead(answer.status, { ...answer.headers, "content-length": answer.body.length });
        line.response.write(answer.body.subarray(0, share(answer.body.length)));
        // What was written must have left before the line is cut.
        await new Promise((resolve) => setImmediate(resolve));
        line.destroy();
        return;
      }
      case "stall_request": {
        hit();
        await this.#stall(line);
        return;
      }
      case "stall_answer": {
        hit();
        await this.#forward(message);
        await this.#stall(line);
        return;
      }
      case "delay": {
        hit();
        const answer = fault.isBefore ? null : await this.#forward(message);
        const unstall = this.#io.stall();
        await Promise.race([this.#time.delay(fault.ms), line.close]);
        unstall();
        if (fault.isBefore) await this.#pass(message, line);
        else if (answer === null) line.destroy();
        else await line.answer(answer);
        return;
      }
      case "duplicate": {
        hit();
        const both = fault.isTogether
          ? await Promise.all([this.#forward(message), this.#forward(message)])
          : [await this.#forward(message), await this.#forward(message)];
        const answer = both[fault.second ? 1 : 0] ?? both[0] ?? both[1];
        if (answer === null) line.destroy();
        else await line.answer(answer);
        return;
      }
      case "late_duplicate": {
        // A copy of an earlier request arrives now, after the ones that followed it.
        const old = this.#seen.at(-Math.min(this.#seen.length, fault.back));
        if (old) {
          hit();
          await this.#forward(old);
        }
        await this.#pass(message, line);
        return;
      }
      case "reorder": {
        // The answer waits until a later request has had its own, or for a while.
        hit();
        const answer = await this.#forward(message);
        const unstall = this.#io.stall();
        await Promise.race([
          new Promise((resolve) => this.#held.push({ message, resolve })),
          this.#time.delay(3_000),
          line.close,
        ]);
        unstall();
        if (answer === null) line.destroy();
        else await line.answer(answer);
        return;
      }
      case "status": {
        hit();
        if (fault.isAfter) await this.#forward(message);
        const headers = fault.retryAfterS === undefined ? {} : { "retry-after": String(fault.retryAfterS) };
        await line.answer({ status: fault.status, headers, body: Buffer.alloc(0) });
        return;
      }
      case "capability": {
        // In the middle of a chunk: what follows it is shown an expired one.
        hit();
        fault.expire(message);
        await this.#forward(message, { bodyBytes: share(message.body.length) });
        line.destroy();
        return;
      }
      case "vault_killed": {
        hit();
        const isMidway = fault.isMidway && message.body.length > 0;
        const sent = isMidway ? this.#forward(message, { bodyBytes: share(message.body.length) }) : null;
        if (!isMidway && fault.isAfter) await this.#forward(message);
        const down = fault.kill();
        line.destroy();
        await Promise.all([sent, down]);
        return;
      }
      default:
        throw new Error(`no such fault: ${fault.kind}`);
    }
  }

  async #stall(line) {
    const unstall = this.#io.stall();
    await line.close;
    unstall();
  }

  /** Answers that were held back until another one was given. */
  #release(message) {
    const held = this.#held.filter((one) => one.message !== message);
    this.#held = this.#held.filter((one) => one.message === message);
    for (const { resolve } of held) resolve();
  }

  /**
   * The vault's answer; null when there is none. With `bodyBytes` the line breaks after so many.
   *
   * @param {{ method: string, url: string, headers: import("node:http").IncomingHttpHeaders, body: Buffer }} message
   * @param {{ bodyBytes?: number }} [options]
   */
  #forward(message, { bodyBytes } = {}) {
    const { method, url, headers, body } = message;
    const token = /^Bearer (.*)$/.exec(headers.authorization ?? "")?.[1];
    const shown = token && this.expired.get(token);
    if (bodyBytes === undefined) {
      this.#seen.push(message);
      if (this.#seen.length > 8) this.#seen.shift();
    }
    const forwarded = new Promise((resolve) => {
      if (this.target === null) {
        resolve(null);
        return;
      }
      const onward = http.request(new URL(url, this.target), {
        method,
        agent: false,
        headers: { ...headers, ...(shown ? { authorization: `Bearer ${shown}` } : {}) },
      });
      onward.on("error", () => resolve(null));
      onward.on("response", async (answer) => {
        try {
          const chunks = [];
          for await (const chunk of answer) chunks.push(chunk);
          const copied = { ...answer.headers };
          for (const name of ["connection", "transfer-encoding", "keep-alive"]) delete copied[name];
          if (answer.statusCode >= 500) this.onServerError();
          this.#note(message, answer);
          resolve({ status: answer.statusCode, headers: copied, body: Buffer.concat(chunks) });
        } catch {
          resolve(null);
        }
      });
      if (bodyBytes === undefined) {
        onward.end(body);
        return;
      }
      onward.setHeader("content-length", body.length);
      onward.write(body.subarray(0, bodyBytes), () => {
        // The vault has read it, or will before it sees the end of the line.
        setImmediate(() => onward.destroy());
      });
      onward.on("close", () => resolve(null));
    });
    return this.#io.track(forwarded);
  }

  /** @param {{ url: string }} message @param {import("node:http").IncomingMessage} answer */
  #note({ url }, { statusCode, headers }) {
    const offset = Number(headers["upload-offset"] ?? Number.NaN);
    const track = /\/uploads\/([^/]+)$/.exec(url)?.[1];
    if (statusCode >= 300 || !track || !Number.isInteger(offset)) return;
    this.acknowledged.set(track, Math.max(offset, this.acknowledged.get(track) ?? 0));
  }
}
