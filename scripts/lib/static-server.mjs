/**
 * Serves the pages with the headers that a careful deployment sends.
 *
 *     const site = await serve({
 *       directory: wwwDir,                            // default
 *       connect: ["ws://127.0.0.1:4000"],             // further origins for CSP's connect-src
 *       documents: { "/config.json": { relay: ".." } },   // JSON made up here; may be a function
 *       files: { "/test/page.html": "/abs/page.html" },   // single files from elsewhere
 *       proxies: { "/relay": "http://127.0.0.1:4000" },   // prefix is removed; WebSockets too; a target
 *                                                 // may be { target, headers } to add request headers
 *       isolated: (pathname) => pathname === "/bench.html", // cross-origin isolation; or true
 *       host: "0.0.0.0", port: 8443, tls: await selfSignedCertificate([...]),
 *     });
 *     site.origin;                    // "http://127.0.0.1:40123"
 *     site.url("/clinician.html#..");
 *     site.requests;                  // [{ method, path, status, bytes }]
 *     await site.close();
 *
 * Every answer carries a strict Content-Security-Policy: scripts, workers and styles from this
 * origin only, WebAssembly allowed, nothing inline, no eval.
 */
import { createReadStream, statSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { wwwDir } from "./paths.mjs";

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

/** The policy of every page; `connect` adds origins that pages may talk to. */
export function contentSecurityPolicy(connect = []) {
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "font-src 'self'",
    "manifest-src 'self'",
    ["connect-src 'self'", ...connect].join(" "),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

export async function serve({
  directory = wwwDir,
  host = "127.0.0.1",
  port = 0,
  tls,
  connect = [],
  documents = {},
  files = {},
  proxies = {},
  isolated = false,
} = {}) {
  const requests = [];
  const policy = contentSecurityPolicy(connect);
  const isIsolated = typeof isolated === "function" ? isolated : () => isolated;

  const headersFor = (pathname) => ({
    "Content-Security-Policy": policy,
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), screen-wake-lock=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    ...(isIsolated(pathname)
      ? { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" }
      : {}),
  });

  async function answer(request, response) {
    const pathname = pathnameOf(request);
    const proxied = proxyFor(proxies, request.url);
    if (proxied) return forward(request, response, proxied);
    const headers = headersFor(pathname);
    const end = (status, body, extra = {}) => {
      const bytes = Buffer.from(body);
      requests.push({ method: request.method, path: pathname, status, bytes: bytes.length });
      response.writeHead(status, { ...headers, ...extra, "Content-Length": bytes.length });
      response.end(request.method === "HEAD" ? undefined : bytes);
    };
    if (request.method !== "GET" && request.method !== "HEAD")
      return end(405, "method not allowed", { Allow: "GET, HEAD" });
    if (Object.hasOwn(documents, pathname)) {
      const value = documents[pathname];
      return end(200, JSON.stringify(typeof value === "function" ? await value(request) : value), {
        "Content-Type": contentTypes[".json"],
      });
    }
    const file = Object.hasOwn(files, pathname) ? files[pathname] : fileFor(directory, pathname);
    const stat = file === null ? undefined : statSync(file, { throwIfNoEntry: false });
    // Browsers ask for it unasked; its absence is no error of the page's.
    if (!stat?.isFile() && pathname === "/favicon.ico") return end(204, "");
    if (!stat?.isFile()) return end(404, "not found", { "Content-Type": contentTypes[".txt"] });
    await sendFile(request, response, file, stat.size, headers, (status, bytes) =>
      requests.push({ method: request.method, path: pathname, status, bytes }),
    );
  }

  const onRequest = (request, response) => {
    answer(request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500).end(String(error.message));
      else response.destroy();
    });
  };
  const server = tls ? https.createServer(tls, onRequest) : http.createServer(onRequest);
  server.on("upgrade", (request, socket, head) =>
    forwardUpgrade(request, socket, head, proxyFor(proxies, request.url)),
  );
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const shownHost = host === "0.0.0.0" || host === "::" ? "localhost" : host;
  const origin = `${tls ? "https" : "http"}://${shownHost}:${server.address().port}`;
  return {
    origin,
    port: server.address().port,
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

function pathnameOf(request) {
  try {
    return decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  } catch {
    return "/%";
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

// --- Proxies ------------------------------------------------------------------------------------

/** The URL that a request is forwarded to, with the headers to add; or null. */
function proxyFor(proxies, requestUrl) {
  for (const [prefix, target] of Object.entries(proxies)) {
    if (requestUrl === prefix || requestUrl.startsWith(`${prefix}/`) || requestUrl.startsWith(`${prefix}?`)) {
      const rest = requestUrl.slice(prefix.length);
      const { target: origin, headers = {} } = typeof target === "string" ? { target } : target;
      return { url: new URL(rest.startsWith("/") ? rest : `/${rest}`, origin), headers };
    }
  }
  return null;
}

function forward(request, response, { url: target, headers }) {
  return new Promise((resolve) => {
    const upstream = http.request(
      target,
      { method: request.method, headers: { ...request.headers, ...headers, host: target.host } },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
        answer.on("close", resolve);
      },
    );
    upstream.on("error", (error) => {
      if (!response.headersSent) response.writeHead(502);
      response.end(`upstream: ${error.code ?? error.message}`);
      resolve();
    });
    response.on("close", () => upstream.destroy());
    request.pipe(upstream);
  });
}

function forwardUpgrade(request, socket, head, proxied) {
  socket.on("error", () => socket.destroy());
  const target = proxied?.url;
  if (!target) return socket.end("HTTP/1.1 404 Not Found\r\n\r\n");
  const upstream = net.connect(Number(target.port), target.hostname, () => {
    const headers = { ...request.headers, host: target.host };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    upstream.write(`${request.method} ${target.pathname}${target.search} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    upstream.write(head);
    socket.pipe(upstream).pipe(socket);
  });
  upstream.on("error", () => socket.destroy());
  upstream.on("close", () => socket.destroy());
  socket.on("close", () => upstream.destroy());
}
