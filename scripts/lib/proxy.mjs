/**
 * The page server's way to relay, authority and vault, each behind a prefix of the pages' origin.
 *
 *     const proxies = upstreams({
 *       "/vault": "http://127.0.0.1:4001",
 *       "/api/authority": {
 *         target: "http://127.0.0.1:4002",
 *         paths: [/^\/v1\/visits/],                        // everything else is 404; default: all
 *         maxBodyBytes: 65_536,                             // default: 1 MiB
 *         authorized: [{ method: "POST", path: "/v1/visits", secret, headers: { authorization: "Bearer .." } }],
 *       },
 *     });
 *
 * A request goes to the configured host and port, whatever its path says. An upstream is not trusted with the pages'
 * origin: of its answer we pass on the status, a short list of headers, and a body that browsers treat as data.
 * `authorized` adds credentials to one call, for whoever sends the start page's secret in `Start-Secret`.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import http from "node:http";
import { Transform } from "node:stream";
import { upstreamHeaders } from "./site-headers.mjs";

/** An upstream that says nothing for so long is given up. */
const IDLE_MS = 120_000;
const DEFAULT_MAX_BODY_BYTES = 1 << 20;
const withoutBody = new Set(["GET", "HEAD", "DELETE", "OPTIONS"]);
const withBody = new Set(["POST", "PUT", "PATCH"]);

const tusHeaders = [
  ...["tus-resumable", "tus-version", "tus-extension", "tus-max-size", "tus-checksum-algorithm"],
  ...["upload-offset", "upload-length", "upload-defer-length", "upload-metadata", "upload-expires", "upload-checksum"],
];
const requestHeaders = new Set([
  ...["accept", "accept-language", "authorization", "content-type", "content-length", "user-agent"],
  ...["range", "if-range", "if-match", "if-none-match", "x-request-id", "vault-proof"],
  ...tusHeaders,
]);
const responseHeaders = new Set([
  ...["content-length", "content-range", "accept-ranges", "etag", "allow"],
  ...["retry-after", "error-code", "www-authenticate", "vault-time"],
  ...tusHeaders,
]);
/** Types that no browser runs or renders with script, given `nosniff`. */
const dataTypes = /^(application\/(json|problem\+json|octet-stream|offset\+octet-stream|jose)|text\/plain)\s*(;|$)/i;
const websocketRequestHeaders = new Set([
  ...["sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions"],
  "user-agent",
]);
const websocketResponseHeaders = new Set([
  ...["sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions"],
]);

export function upstreams(proxies) {
  return Object.entries(proxies).map(([prefix, given]) => {
    const { target, ...options } = typeof given === "string" ? { target: given } : given;
    const { protocol, hostname, port, host, pathname } = new URL(target);
    if (protocol !== "http:" || pathname !== "/")
      throw new Error(`a proxied server is http://host:port, got ${target}`);
    const address = { hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80), host };
    return { prefix, address, paths: [/^/], maxBodyBytes: DEFAULT_MAX_BODY_BYTES, authorized: [], ...options };
  });
}

/** The upstream of a canonical target (see `canonicalTarget`) and the path it gets there, or null. */
export function upstreamFor(proxies, { path, search }) {
  for (const upstream of proxies) {
    const { prefix, paths } = upstream;
    if (path !== prefix && !path.startsWith(`${prefix}/`)) continue;
    const rest = path.slice(prefix.length) || "/";
    return paths.some((allowed) => allowed.test(rest)) ? { ...upstream, rest, path: `${rest}${search}` } : null;
  }
  return null;
}

/** Passes one request on; `refuse(status)` answers it when it may not be. */
export function forward(request, response, upstream, { scheme, refuse }) {
  const { method } = request;
  const length = Number(request.headers["content-length"] ?? 0);
  const hasBody = length > 0 || request.headers["transfer-encoding"] !== undefined;
  if (!withoutBody.has(method) && !withBody.has(method)) return refuse(405);
  // A body where none is due would be read as the next request by a server that does not expect one.
  if (withoutBody.has(method) && hasBody) return refuse(400);
  if (length > upstream.maxBodyBytes) return refuse(413);
  return new Promise((resolve) => {
    const fail = (status) => {
      if (!response.headersSent) refuse(status);
      else response.destroy();
    };
    const outgoing = send(request, upstream, {
      ...picked(request.headers, requestHeaders),
      ...forwardedFor(request, scheme),
      ...credentialsFor(request, upstream),
    });
    outgoing.on("response", (/** @type {import("node:http").IncomingMessage} */ answer) => {
      const safe = safeAnswer(answer);
      if (!safe) {
        answer.resume();
        return fail(502);
      }
      try {
        response.writeHead(safe.status, safe.headers);
      } catch {
        answer.destroy();
        return fail(502);
      }
      answer.on("error", () => response.destroy());
      answer.pipe(response);
    });
    outgoing.on("upgrade", (_answer, socket) => {
      socket.destroy();
      fail(502);
    });
    outgoing.on("error", () => fail(502));
    outgoing.on("timeout", () => outgoing.destroy(new Error("timeout")));
    response.on("close", () => {
      outgoing.destroy();
      resolve(undefined);
    });
    if (withoutBody.has(method)) outgoing.end();
    else request.pipe(limited(upstream.maxBodyBytes, () => fail(413), outgoing)).pipe(outgoing);
  });
}

/** Passes a WebSocket handshake on, and bytes both ways once the upstream has agreed to one. */
export function forwardUpgrade(request, socket, head, upstream, { scheme, refuse }) {
  const { method, headers } = request;
  const isWebSocket =
    method === "GET" && headers.upgrade?.toLowerCase() === "websocket" && !("content-length" in headers);
  if (!isWebSocket || "transfer-encoding" in headers) return refuse(400);
  const outgoing = send(request, upstream, {
    ...picked(headers, websocketRequestHeaders),
    ...forwardedFor(request, scheme),
    connection: "Upgrade",
    upgrade: "websocket",
  });
  outgoing.on("upgrade", (answer, line, first) => {
    line.on("error", () => socket.destroy());
    line.on("close", () => socket.destroy());
    socket.on("close", () => line.destroy());
    if (answer.headers.upgrade?.toLowerCase() !== "websocket") {
      line.destroy();
      return refuse(502);
    }
    outgoing.setTimeout(0);
    line.setTimeout(0);
    const chosen = { upgrade: "websocket", connection: "Upgrade", ...picked(answer.headers, websocketResponseHeaders) };
    const lines = Object.entries(chosen).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
    socket.write(first);
    line.write(head);
    socket.pipe(line).pipe(socket);
  });
  // The upstream refused: its status, and nothing else of it.
  outgoing.on("response", (answer) => {
    answer.resume();
    outgoing.destroy();
    refuse(answer.statusCode >= 400 && answer.statusCode <= 599 ? answer.statusCode : 502);
  });
  outgoing.on("error", () => refuse(502));
  outgoing.on("timeout", () => outgoing.destroy(new Error("timeout")));
  socket.on("close", () => outgoing.destroy());
  outgoing.end();
}

/** One connection for one request: no two people's requests share one. */
function send({ method }, { address, path }, headers) {
  const { hostname, port, host } = address;
  return http.request({ hostname, port, path, method, headers: { ...headers, host }, agent: false, timeout: IDLE_MS });
}

function picked(headers, allowed) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => allowed.has(name)));
}

/** Whom the upstream limits and logs: the address that we see, never one that the client names. */
function forwardedFor({ socket }, scheme) {
  return {
    "x-forwarded-for": (socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
    "x-forwarded-proto": scheme,
  };
}

function credentialsFor({ method, headers }, { rest, path, authorized }) {
  const found = authorized.find(
    (call) =>
      call.method === method && call.path === rest && path === rest && isSame(headers["start-secret"], call.secret),
  );
  return found?.headers ?? {};
}

function isSame(given, secret) {
  const hash = (text) => createHash("sha256").update(text).digest();
  return typeof given === "string" && timingSafeEqual(hash(given), hash(secret));
}

/** What of an upstream's answer may stand under the pages' origin; null for what may not at all. */
/** @param {import("node:http").IncomingMessage} answer */
function safeAnswer({ statusCode: status, headers }) {
  // No redirect leads a page elsewhere by an upstream's word.
  if (status < 200 || (status >= 300 && status < 400 && status !== 304) || status > 599) return null;
  /** @type {Record<string, string>} */
  const safe = { ...upstreamHeaders, ...picked(headers, responseHeaders) };
  const type = headers["content-type"];
  if (type !== undefined) {
    const isData = dataTypes.test(type);
    safe["Content-Type"] = isData ? type : "application/octet-stream";
    if (!isData) safe["Content-Disposition"] = "attachment";
  } else if (status !== 204 && status !== 304) {
    safe["Content-Type"] = "application/octet-stream";
  }
  // tus: where the new upload is. A path within this origin, or nothing.
  const { location } = headers;
  if (status === 201 && location !== undefined && /^(?!\/\/)[\w/.~-]+$/.test(location)) safe.Location = location;
  return { status, headers: safe };
}

function limited(maxBytes, onTooMuch, outgoing) {
  let bytes = 0;
  return new Transform({
    transform(chunk, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= maxBytes) return done(null, chunk);
      onTooMuch();
      outgoing.destroy();
      done();
    },
  });
}
