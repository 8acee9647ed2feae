/**
 * The page server in front of servers that are not trusted with the pages' origin, and clients that try to get past it.
 */
import assert from "node:assert/strict";
import http from "node:http";
import { connect } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { serve } from "../../scripts/lib/static-server.mjs";

const token = "Bearer the-schedulers-token";
const secret = "the-start-pages-secret";
/** What each server was asked: `{ method, url, headers, body }`. */
const seen = { authority: [], elsewhere: [] };
/** How the authority answers next; default: as itself. */
let answerNext;
let authority;
let elsewhere;
let site;

before(async () => {
  authority = await listen(http.createServer(record("authority")));
  elsewhere = await listen(http.createServer(record("elsewhere")));
  for (const server of [authority, elsewhere]) server.on("upgrade", onUpgrade);
  site = await serve({
    documents: { "/config.json": {} },
    proxies: {
      "/api": {
        target: `http://127.0.0.1:${authority.address().port}`,
        paths: [/^\/v1\/visits(\/|$)/, /^\/socket$/],
        maxBodyBytes: 1_000,
        authorized: [{ method: "POST", path: "/v1/visits", secret, headers: { authorization: token } }],
      },
    },
  });
});

after(async () => {
  await site.close();
  for (const server of [authority, elsewhere]) {
    server.closeAllConnections();
    server.close();
  }
});

beforeEach(() => {
  seen.authority.length = 0;
  seen.elsewhere.length = 0;
  answerNext = undefined;
});

test("forwards below a prefix, without the prefix, and says for whom", async () => {
  const answer = await fetch(site.url("/api/v1/visits/7?x=//1"), {
    method: "POST",
    headers: {
      ...{ "content-type": "application/json", "x-forwarded-for": "10.0.0.1", forwarded: "for=10.0.0.1" },
      ...{ cookie: "a=b", "x-http-method-override": "DELETE" },
    },
    body: "{}",
  });
  assert.equal(await answer.text(), "POST /v1/visits/7?x=//1");
  const [{ headers, body }] = seen.authority;
  assert.equal(body, "{}");
  assert.equal(headers.host, `127.0.0.1:${authority.address().port}`);
  assert.equal(
    headers["x-forwarded-for"],
    "127.0.0.1",
    "the address that the server sees, not one that the client names",
  );
  for (const name of ["cookie", "forwarded", "x-http-method-override"]) assert.equal(headers[name], undefined, name);
  for (const path of ["/apis", "/api", "/api/stats", "/api/v1/visitsx"]) {
    assert.equal((await fetch(site.url(path))).status, 404, path);
  }
});

test("no request leaves the configured servers, however its target is written", async () => {
  const other = `127.0.0.1:${elsewhere.address().port}`;
  const targets = [
    `/api//${other}/v1/visits`,
    `/api/\\${other}/v1/visits`,
    `/api/\\\\${other}/v1/visits`,
    `/api/%2f${other}/v1/visits`,
    `/api/%5c${other}/v1/visits`,
    `/api/%2F%2F${other}/v1/visits`,
    `/api/%252f${other}/v1/visits`,
    `/api/@${other}/v1/visits`,
    `/api@${other}/v1/visits`,
    `/api:80@${other}/v1/visits`,
    `/api/http://${other}/v1/visits`,
    `//${other}/api/v1/visits`,
    `http://${other}/api/v1/visits`,
    `http://localhost/api/v1/visits`,
    `/api/../api/v1/visits`,
    `/api/v1/visits/../../../stats`,
    `/api/v1/visits/%2e%2e/stats`,
    `/api/v1/visits/.%2E/stats`,
    `/api/v1/visits/./7`,
    `/api/v1//visits`,
    `/api/v1/visits/7%00`,
    `/api/v1/visits/7#x`,
    "*",
  ];
  for (const target of targets) {
    for (const extra of [
      [],
      ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"],
    ]) {
      const answer = await raw([`POST ${target} HTTP/1.1`, `Start-Secret: ${secret}`, "Content-Length: 0", ...extra]);
      assert.match(answer, /^HTTP\/1\.1 40[045] /, target);
      assert.match(answer, /^content-security-policy: /im, target);
    }
  }
  assert.deepEqual(seen, { authority: [], elsewhere: [] });
});

test("the token goes with one call alone, and only for whoever knows the start secret", async () => {
  const ask = (method, path, headers = {}) =>
    fetch(site.url(path), { method, headers, ...(method === "POST" && { body: "{}" }) });
  await ask("POST", "/api/v1/visits");
  await ask("POST", "/api/v1/visits", { "start-secret": `${secret}x` });
  await ask("POST", "/api/v1/visits", { "start-secret": "" });
  await ask("GET", "/api/v1/visits", { "start-secret": secret });
  await ask("POST", "/api/v1/visits?a=b", { "start-secret": secret });
  await ask("POST", "/api/v1/visits/7/end", { "start-secret": secret });
  assert.equal(seen.authority.length, 6);
  for (const { method, url, headers } of seen.authority) {
    assert.equal(headers.authorization, undefined, `${method} ${url}`);
    assert.equal(headers["start-secret"], undefined, "the secret is for the page server alone");
  }
  await ask("POST", "/api/v1/visits", { "start-secret": secret });
  assert.equal(seen.authority.at(-1).headers.authorization, token);
});

test("pages of other sites get nothing forwarded", async () => {
  const own = site.origin;
  for (const [origin, status] of [
    [own, 200],
    ["https://evil.example", 403],
    ["null", 403],
    [own.replace("http:", "https:"), 403],
    [`${own}.evil.example`, 403],
  ]) {
    const answer = await fetch(site.url("/api/v1/visits/7"), { headers: { origin } });
    assert.equal(answer.status, status, origin);
  }
  assert.equal(seen.authority.length, 1);
});

test("whatever an upstream answers, it is neither page nor script of the pages' origin, and sets nothing there", async () => {
  const evil = "<!doctype html><script>fetch('/stolen')</script>";
  const types = [
    "text/html",
    "text/javascript",
    "application/xhtml+xml",
    "image/svg+xml",
    "text/xml",
    "text/css",
    "x",
    undefined,
  ];
  for (const type of types) {
    answerNext = (response) =>
      response
        .writeHead(200, {
          ...(type && { "content-type": type }),
          "content-security-policy": "default-src *",
          "set-cookie": "a=b",
          "clear-site-data": '"storage"',
          "access-control-allow-origin": "*",
          "service-worker-allowed": "/",
          refresh: "0; url=https://evil.example",
          link: "</evil.js>; rel=preload",
          "x-content-type-options": "no",
          "content-disposition": "inline",
        })
        .end(evil);
    const { headers } = await fetch(site.url("/api/v1/visits/7"));
    assert.equal(headers.get("content-type"), "application/octet-stream", type);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.match(headers.get("content-security-policy"), /^default-src 'none';.*frame-ancestors 'none'; sandbox$/);
    const dropped = [
      "set-cookie",
      "clear-site-data",
      "access-control-allow-origin",
      "service-worker-allowed",
      "refresh",
      "link",
    ];
    for (const name of dropped) assert.equal(headers.get(name), null, name);
    assert.notEqual(headers.get("content-disposition"), "inline");
  }
  answerNext = (response) =>
    response.writeHead(200, { "content-type": "application/json", "upload-offset": "7" }).end("{}");
  const { headers } = await fetch(site.url("/api/v1/visits/7"));
  assert.deepEqual([headers.get("content-type"), headers.get("upload-offset")], ["application/json", "7"]);
});

test("an upstream leads nobody elsewhere: no redirects, and a new upload is below this origin", async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    answerNext = (response) => response.writeHead(status, { location: "/start.html" }).end();
    assert.equal((await fetch(site.url("/api/v1/visits/7"), { redirect: "manual" })).status, 502, String(status));
  }
  for (const [location, passed] of [
    ["uploads/7", "uploads/7"],
    ["/vault/uploads/7", "/vault/uploads/7"],
    ["//evil.example/7", null],
    ["https://evil.example/7", null],
    ["/\\evil.example", null],
    ["javascript:alert(1)", null],
  ]) {
    answerNext = (response) => response.writeHead(201, { location }).end();
    const answer = await fetch(site.url("/api/v1/visits/7"), { method: "POST" });
    assert.deepEqual([answer.status, answer.headers.get("location")], [201, passed], location);
  }
});

test("one request in is one request out: no bodies that only one side sees", async () => {
  const smuggled = "GET /v1/visits/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  const heads = [
    ["GET /api/v1/visits/7 HTTP/1.1", `Content-Length: ${smuggled.length}`],
    ["DELETE /api/v1/visits/7 HTTP/1.1", "Transfer-Encoding: chunked"],
    ["POST /api/v1/visits/7 HTTP/1.1", "Content-Length: 3", "Transfer-Encoding: chunked"],
    ["POST /api/v1/visits/7 HTTP/1.1", "Content-Length: 3", "Content-Length: 4"],
    ["POST /api/v1/visits/7 HTTP/1.1", "Transfer-Encoding: chunked, identity"],
    ["POST /api/v1/visits/7 HTTP/1.1", "Transfer-Encoding : chunked"],
    ["TRACE /api/v1/visits/7 HTTP/1.1"],
    ["BREW /api/v1/visits/7 HTTP/1.1"],
  ];
  for (const head of heads) assert.match(await raw(head, smuggled), /^HTTP\/1\.1 40[05] /, head.join(" | "));
  assert.deepEqual(seen.authority, []);
  // Headers that `Connection` names, and all others of one connection only, stay on this side.
  await raw([
    "POST /api/v1/visits/7 HTTP/1.1",
    "Connection: close, Authorization",
    "TE: trailers",
    "Keep-Alive: timeout=9",
    "Proxy-Authorization: Basic eDp5",
    "Content-Length: 0",
  ]);
  const [{ headers }] = seen.authority;
  for (const name of ["te", "keep-alive", "proxy-authorization", "transfer-encoding"]) {
    assert.equal(headers[name], undefined, name);
  }
});

test("a body longer than the upstream takes is refused, announced or not", async () => {
  const post = (body) =>
    fetch(site.url("/api/v1/visits/7"), /** @type {any} */ ({ method: "POST", body, duplex: "half" }));
  assert.equal((await post("x".repeat(1_000))).status, 200);
  assert.equal((await post("x".repeat(1_001))).status, 413);
  const chunked = await raw(
    ["POST /api/v1/visits/7 HTTP/1.1", "Transfer-Encoding: chunked"],
    `3e9\r\n${"x".repeat(1_001)}\r\n0\r\n\r\n`,
  );
  assert.match(chunked, /^HTTP\/1\.1 413 /);
});

test("WebSockets go through in both directions, below the prefix, to pages of this origin", async () => {
  const { WebSocket } = await import("ws");
  const dial = (path, options) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(site.url(path).replace("http", "ws"), options);
      socket.on("open", () => resolve(socket));
      socket.on("error", reject);
    });
  await assert.rejects(dial("/api/socket", { headers: { origin: "https://evil.example" } }), /403/);
  await assert.rejects(dial("/api/stats"), /404/);
  await assert.rejects(dial("/config.json"), /404/);
  const socket = await dial("/api/socket", { headers: { origin: site.origin } });
  const heard = new Promise((resolve) => socket.on("message", (data) => resolve(String(data))));
  socket.send("to and fro");
  assert.equal(await heard, "to and fro");
  socket.terminate();
});

test("an upstream that answers a WebSocket with a page gets its status through, and nothing else", async () => {
  answerNext = (response) =>
    response.writeHead(403, { "content-type": "text/html", "x-evil": "1" }).end("<h1>evil</h1>");
  const head = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"];
  const answer = await raw(["GET /api/socket?refuse HTTP/1.1", ...head]);
  assert.match(answer, /^HTTP\/1\.1 403 /);
  assert.doesNotMatch(answer, /evil|text\/html/);
  answerNext = (response) => response.writeHead(200, { "content-type": "text/html" }).end("<h1>evil</h1>");
  assert.match(await raw(["GET /api/socket?refuse HTTP/1.1", ...head]), /^HTTP\/1\.1 502 /);
  assert.match(await raw(["GET /api/socket HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c"]), /^HTTP\/1\.1 400 /);
});

test("an upstream that is away is a 502 with the pages' headers, and no word of where it was", async () => {
  answerNext = (response) => response.destroy();
  const answer = await fetch(site.url("/api/v1/visits/7"));
  assert.equal(answer.status, 502);
  assert.match(answer.headers.get("content-security-policy"), /frame-ancestors 'none'/);
  assert.doesNotMatch(await answer.text(), /127\.0\.0\.1|ECONN/);
});

function record(name) {
  return (request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      const { method, url, headers } = request;
      seen[name].push({ method, url, headers, body });
      if (answerNext) answerNext(response);
      else response.writeHead(200, { "content-type": "text/plain" }).end(`${method} ${url}`);
    });
  };
}

/** A WebSocket server that says everything back, or one that answers as `answerNext` says. */
async function onUpgrade(request, socket, head) {
  if (request.url.includes("refuse")) {
    const response = new http.ServerResponse(request);
    response.assignSocket(socket);
    response.on("finish", () => socket.end());
    return answerNext(response);
  }
  const { WebSocketServer } = await import("ws");
  new WebSocketServer({ noServer: true }).handleUpgrade(request, socket, head, (ws) => {
    ws.on("message", (data) => ws.send(String(data)));
  });
}

async function listen(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Everything that the server says to a request that no tidy client would send. */
function raw(head, body = "") {
  return new Promise((resolve, reject) => {
    const close = head.some((line) => /^connection:/i.test(line)) ? [] : ["Connection: close"];
    const bytes = `${[head[0], "Host: localhost", ...head.slice(1), ...close].join("\r\n")}\r\n\r\n${body}`;
    const socket = connect(site.port, "127.0.0.1", () => socket.write(bytes));
    let text = "";
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("close", () => resolve(text));
  });
}
