/**
 * Serves the pages with the headers that a careful deployment sends.
 *
 *     const site = await serve({
 *       directory: wwwDir,                            // default
 *       connect: ["ws://127.0.0.1:4000"],             // further origins for CSP's connect-src
 *       documents: { "/config.json": { relay: ".." } },   // JSON made up here; may be a function
 *       files: { "/test/page.html": "/abs/page.html" },   // single files from elsewhere
 *       proxies: { "/relay": "http://127.0.0.1:4000" },   // prefix is removed; WebSockets too; see proxy.mjs
 *       hosts: ["192.168.1.20"],                  // names in `Host` besides localhost and `host`
 *       isolated: (pathname) => pathname === "/bench.html", // cross-origin isolation; or true
 *       host: "0.0.0.0", port: 8443, tls: await selfSignedCertificate([...]),
 *     });
 *     site.origin;                    // "http://127.0.0.1:40123"
 *     site.url("/clinician.html#..");
 *     site.requests;                  // the newest: [{ method, path, status, bytes }]; path "*.js" or "" for what is not here
 *     await site.close();
 *
 * Every response carries the headers of site-headers.mjs: scripts, workers and styles from this origin only, WebAssembly
 * allowed, nothing inline, no eval. That includes errors, requests that cannot be parsed, and what proxied servers answer.
 */
import { createReadStream, readFileSync, statSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { wwwDir } from "./paths.mjs";
import { forward, forwardUpgrade, upstreamFor, upstreams } from "./proxy.mjs";
import { canonicalTarget, contentSecurityPolicy, pageHeaders, refusalOf } from "./site-headers.mjs";

const contentTypes = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".wasm": "application/wasm",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".txt": "text/plain; charset=utf-8",
  ".webm": "video/webm",
  ".mp4": "video/mp4",
  ".wav": "audio/wav",
};

/** A request's head must arrive within this. */
const HEADERS_TIMEOUT_MS = 15_000;
/** A connection on which nothing moves is closed after this. */
const IDLE_MS = 120_000;
const MAX_CONNECTIONS = 1_024;
const MAX_CONNECTIONS_PER_NETWORK = 256;
/** What is remembered of the requests: nobody who asks without end fills the memory; no path that is none of ours. */
const MAX_REMEMBERED_REQUESTS = 2_000;

/**
 * @typedef {object} ServeOptions
 * @property {string} [directory]
 * @property {string} [host]
 * @property {number} [port]
 * @property {{ key: string | Buffer, cert: string | Buffer }} [tls]
 * @property {string[]} [connect]
 * @property {Record<string, unknown>} [documents]
 * @property {Record<string, string>} [files]
 * @property {Record<string, object>} [proxies]
 * @property {string[]} [hosts]
 * @property {boolean | ((pathname: string) => boolean)} [isolated]
 */

/** @param {ServeOptions} [options] */
export async function serve({
  directory = wwwDir,
  host = "127.0.0.1",
  port = 0,
  tls,
  connect = [],
  documents = {},
  files = {},
  proxies = {},
  hosts = [],
  isolated = false,
} = {}) {
  const requests = [];
  const remember = (method, pathname, status, bytes) => {
    requests.push({ method, path: pathname, status, bytes });
    if (requests.length > MAX_REMEMBERED_REQUESTS) requests.shift();
  };
  const ownHeaders = pageHeaders(contentSecurityPolicy(connect));
  const proxied = upstreams(proxies);
  const scheme = tls ? "https" : "http";
  const site = { scheme, hosts: new Set(["localhost", "127.0.0.1", "[::1]", host, ...hosts]) };
  const isIsolated = typeof isolated === "function" ? isolated : () => isolated;

  const headersFor = (pathname) => ({
    ...ownHeaders,
    ...(isIsolated(pathname)
      ? { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" }
      : {}),
  });

  async function answer(request, response) {
    const target = canonicalTarget(request.url);
    const pathname = target?.pathname ?? "";
    const headers = headersFor(pathname);
    const end = (status, body, extra = {}, known = kindOf(pathname)) => {
      const bytes = Buffer.from(body);
      remember(request.method, known, status, bytes.length);
      response.writeHead(status, { "Content-Type": contentTypes[".txt"], ...headers, ...extra });
      response.end(request.method === "HEAD" ? undefined : bytes);
    };
    const refuse = (status) => end(status, `${http.STATUS_CODES[status]}\n`, { Connection: "close" });
    const refusal = refusalOf(request, site);
    if (refusal !== null) return refuse(refusal);
    // Links arrive damaged, their secret in the path: a page of ours repairs what can be.
    const notFound = () => {
      const lost = isNavigation(request) ? lostPage(directory) : null;
      return lost === null ? end(404, "not found") : end(404, lost, { "Content-Type": contentTypes[".html"] });
    };
    if (!target) return request.url.startsWith("/") ? notFound() : end(400, "not found");
    const upstream = upstreamFor(proxied, target);
    if (upstream) return forward(request, response, upstream, { scheme, refuse });
    if (request.method !== "GET" && request.method !== "HEAD")
      return end(405, "method not allowed", { Allow: "GET, HEAD" });
    if (Object.hasOwn(documents, pathname)) {
      const value = documents[pathname];
      const text = JSON.stringify(typeof value === "function" ? await value(request) : value);
      return end(200, text, { "Content-Type": contentTypes[".json"] }, pathname);
    }
    const file = Object.hasOwn(files, pathname) ? files[pathname] : fileFor(directory, pathname);
    const stat = file === null ? undefined : statOf(file);
    // Browsers ask for it unasked; its absence is no error of the page's.
    if (!stat?.isFile() && pathname === "/favicon.ico") return end(204, "", { "Content-Type": contentTypes[".ico"] });
    if (!stat?.isFile()) return notFound();
    await sendFile(request, response, file, stat.size, headers, (status, bytes) =>
      remember(request.method, pathname, status, bytes),
    );
  }

  const onRequest = (request, response) => {
    answer(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500, ownHeaders).end("internal error");
      else response.destroy();
    });
  };
  // Node refuses a missing Host without our headers; `refusalOf` does it with them.
  const options = { ...tls, requireHostHeader: false, handshakeTimeout: HEADERS_TIMEOUT_MS };
  const server = tls ? https.createServer(options, onRequest) : http.createServer(options, onRequest);
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.timeout = IDLE_MS;
  server.maxConnections = MAX_CONNECTIONS;
  limitConnections(server);
  /** Answers on a bare connection, where there is no response to write to. */
  const refuseBare = (socket, status) => {
    if (!socket.writable) return socket.destroy();
    const lines = Object.entries({ ...ownHeaders, Connection: "close", "Content-Length": 0 });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}\r\n${head}\r\n`);
  };
  server.on("clientError", (/** @type {NodeJS.ErrnoException} */ error, socket) => {
    const tooLate = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
    refuseBare(socket, error.code === "HPE_HEADER_OVERFLOW" ? 431 : tooLate ? 408 : 400);
  });
  server.on("checkExpectation", (request, response) => {
    response.writeHead(417, { ...ownHeaders, Connection: "close" }).end();
    request.resume();
  });
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", () => socket.destroy());
    /** @type {import("node:net").Socket} */ (socket).setTimeout(0);
    const refuse = (status) => refuseBare(socket, status);
    const refusal = refusalOf(request, site);
    if (refusal !== null) return refuse(refusal);
    const target = canonicalTarget(request.url);
    const upstream = target && upstreamFor(proxied, target);
    if (!upstream) return refuse(404);
    try {
      forwardUpgrade(request, socket, head, upstream, { scheme, refuse });
    } catch {
      refuse(400);
    }
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve(undefined));
  });
  const shownHost = host === "0.0.0.0" || host === "::" ? "localhost" : host;
  const { port: openPort } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const origin = `${scheme}://${shownHost}:${openPort}`;
  return {
    origin,
    port: openPort,
    requests,
    url: (pathAndHash) => `${origin}${pathAndHash}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

// --- Files --------------------------------------------------------------------------------------

/** The file for a URL path, or null when it would leave the directory. */
function fileFor(directory, pathname) {
  const wanted = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
  const file = path.resolve(directory, `.${path.posix.normalize(wanted)}`);
  return file.startsWith(path.resolve(directory) + path.sep) ? file : null;
}

/** Undefined for what cannot be looked at, such as a name that is too long for the file system. */
function statOf(file) {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** One network cannot use up all connections. */
function limitConnections(server) {
  const places = placesByNetwork(MAX_CONNECTIONS_PER_NETWORK);
  server.on("connection", (socket) => {
    const leave = places.take(socket.remoteAddress);
    if (!leave) return socket.destroy();
    socket.on("close", leave);
  });
}

/** `take(address)` gives the function that frees the place again, or null when the address's network holds `limit`. */
export function placesByNetwork(limit) {
  const held = new Map();
  return {
    take(address) {
      const network = networkOf(address);
      const count = (held.get(network) ?? 0) + 1;
      if (count > limit) return null;
      held.set(network, count);
      return () => {
        const left = held.get(network) - 1;
        if (left > 0) held.set(network, left);
        else held.delete(network);
      };
    },
  };
}

/** An IPv4 address, or the /64 of an IPv6 address: one person has a whole one. */
function networkOf(address = "") {
  const [bare] = address.split("%");
  if (!bare.includes(":")) return bare;
  if (bare.includes(".")) return bare.slice(bare.lastIndexOf(":") + 1);
  const [left, right] = bare.split("::").map((half) => half.split(":").filter(Boolean));
  const zeros = Array(8 - left.length - (right?.length ?? 0)).fill("0");
  const groups = right ? [...left, ...zeros, ...right] : left;
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16))
    .join(":");
}

/** All that is kept of a path that is none of ours. */
function kindOf(pathname) {
  const extension = path.extname(pathname);
  return Object.hasOwn(contentTypes, extension) ? `*${extension}` : "";
}

function isNavigation({ method, headers }) {
  return (method === "GET" || method === "HEAD") && (headers.accept ?? "").includes("text/html");
}

/** The page for every address that is none; null where these are other people's pages. */
function lostPage(directory) {
  try {
    return readFileSync(path.join(directory, "lost.html"));
  } catch {
    return null;
  }
}

async function sendFile(request, response, file, size, headers, done) {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  if (range && (start >= size || start > end)) {
    done(416, 0);
    response.writeHead(416, { ...headers, "Content-Range": `bytes */${size}` }).end();
    return;
  }
  const status = range ? 206 : 200;
  response.writeHead(status, {
    ...headers,
    "Content-Type": contentTypes[path.extname(file)] ?? "application/octet-stream",
    "Content-Length": size === 0 ? 0 : end - start + 1,
    "Accept-Ranges": "bytes",
    ...(range ? { "Content-Range": `bytes ${start}-${end}/${size}` } : {}),
  });
  done(status, size === 0 ? 0 : end - start + 1);
  if (request.method === "HEAD" || size === 0) {
    response.end();
    return;
  }
  // A page that navigates away closes its connections in the middle of a file: that is no failure.
  await pipeline(createReadStream(file, { start, end }), response).catch(() => {});
}
