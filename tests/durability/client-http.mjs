/** The browser's fetch and XMLHttpRequest, over Node's sockets: what the recorder's code is given in place of them. */
import http from "node:http";

/** Sends one request; rejects, as a browser does, when the line breaks before the whole answer is there. */
function send(io, { method, url, headers, body, onProgress = (/** @type {number} */ _sent) => {} }) {
  let request = null;
  const end = io.begin();
  const done = new Promise((resolve, reject) => {
    request = http.request(url, { method, agent: false, headers });
    request.on("error", reject);
    request.on("close", () => reject(new Error("the line broke")));
    request.on("response", async (answer) => {
      try {
        const chunks = [];
        for await (const chunk of answer) chunks.push(chunk);
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) });
      } catch (error) {
        reject(error);
      }
    });
    request.end(body ?? undefined, () => onProgress(body?.length ?? 0));
  });
  done.then(end, end);
  return {
    done,
    abort() {
      request.destroy();
      end();
    },
  };
}

/** What one page has for a network; after `kill()` nothing of it is sent or heard anymore. */
export class PageNetwork {
  #io;
  #open = new Set();
  #isDead = false;

  constructor(io) {
    this.#io = io;
  }

  kill() {
    this.#isDead = true;
    for (const sent of this.#open) sent.abort();
  }

  /**
   * @param {string | URL} url
   * @param {{ method?: string, headers?: Record<string, string>, body?: Uint8Array | string, signal?: AbortSignal }} [options]
   */
  fetch = async (url, { method = "GET", headers = {}, body, signal } = {}) => {
    signal?.throwIfAborted();
    const sent = this.#send({ method, url, headers, body: body === undefined ? null : Buffer.from(body) });
    const stop = () => sent.abort();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const answer = await sent.done;
      const hasBody = answer.status !== 204 && method !== "HEAD";
      const headers = /** @type {[string, string][]} */ (plain(answer.headers));
      return new Response(hasBody ? answer.body : null, { status: answer.status, headers });
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  };

  /** tus-js-client's HttpStack. */
  httpStack = {
    getName: () => "test",
    createRequest: (method, url) => {
      const headers = {};
      let sent = null;
      let onProgress = () => {};
      return {
        getMethod: () => method,
        getURL: () => url,
        setHeader: (name, value) => {
          headers[name] = value;
        },
        getHeader: (name) => headers[name],
        setProgressHandler: (handler) => {
          onProgress = handler;
        },
        send: async (body = null) => {
          sent = this.#send({ method, url, headers, body, onProgress });
          const answer = await sent.done;
          return {
            getStatus: () => answer.status,
            getHeader: (name) => answer.headers[name.toLowerCase()],
            getBody: () => answer.body.toString(),
            getUnderlyingObject: () => answer,
          };
        },
        abort: async () => sent?.abort(),
        getUnderlyingObject: () => sent,
      };
    },
  };

  #send(request) {
    const never = new Promise(() => {});
    if (this.#isDead) return { done: never, abort() {} };
    const sent = send(this.#io, request);
    this.#open.add(sent);
    const done = new Promise((resolve, reject) => {
      const over = (act) => (outcome) => {
        this.#open.delete(sent);
        if (!this.#isDead) act(outcome);
      };
      sent.done.then(over(resolve), over(reject));
    });
    return { done, abort: sent.abort };
  }
}

function plain(headers) {
  return Object.entries(headers).map(([name, value]) => [name, String(value)]);
}
