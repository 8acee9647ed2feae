import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { selfSignedCertificate } from "../../scripts/lib/certificate.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";

const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-site-"));
let upstream;
let site;

before(async () => {
  mkdirSync(path.join(directory, "site", "wasm"), { recursive: true });
  writeFileSync(path.join(directory, "secret.txt"), "secret");
  writeFileSync(path.join(directory, "site", "index.html"), "<!doctype html>home");
  writeFileSync(path.join(directory, "site", "wasm", "a.wasm"), Buffer.alloc(1_000, 7));
  upstream = http.createServer((request, response) => response.end(`${request.method} ${request.url}`));
  upstream.on("upgrade", (request, socket) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n${request.url};`);
    socket.pipe(socket);
  });
  await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  site = await serve({
    directory: path.join(directory, "site"),
    connect: ["ws://127.0.0.1:4000"],
    documents: { "/config.json": { relay: "here" } },
    proxies: { "/relay": `http://127.0.0.1:${upstream.address().port}` },
    isolated: (pathname) => pathname === "/wasm/a.wasm",
  });
});

after(async () => {
  await site.close();
  upstream.closeAllConnections();
  upstream.close();
  rmSync(directory, { recursive: true, force: true });
});

test("serves the index, JSON made up in the script, and 404 for the rest, always with the policy", async () => {
  for (const [pathname, status, text] of [
    ["/", 200, "<!doctype html>home"],
    ["/config.json", 200, '{"relay":"here"}'],
    ["/none", 404, "not found"],
  ]) {
    const answer = await fetch(site.url(pathname));
    assert.equal(answer.status, status, pathname);
    assert.equal(await answer.text(), text);
    const policy = answer.headers.get("content-security-policy");
    assert.match(policy, /script-src 'self' 'wasm-unsafe-eval';/);
    assert.match(policy, /connect-src 'self' ws:\/\/127\.0\.0\.1:4000;/);
    assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'/);
  }
});

test("isolates the pages that ask for it, and no other", async () => {
  assert.equal((await fetch(site.url("/wasm/a.wasm"))).headers.get("cross-origin-embedder-policy"), "require-corp");
  assert.equal((await fetch(site.url("/"))).headers.get("cross-origin-embedder-policy"), null);
});

test("serves parts of files, with the type that streaming compilation wants", async () => {
  const part = await fetch(site.url("/wasm/a.wasm"), { headers: { range: "bytes=10-19" } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), "bytes 10-19/1000");
  assert.equal(part.headers.get("content-type"), "application/wasm");
  assert.equal((await part.arrayBuffer()).byteLength, 10);
  assert.equal((await fetch(site.url("/wasm/a.wasm"), { headers: { range: "bytes=1000-" } })).status, 416);
});

test("no path leads out of the directory", async () => {
  for (const pathname of ["/../secret.txt", "/%2e%2e/secret.txt", "/wasm/..%2f..%2fsecret.txt", "/%"]) {
    assert.equal((await rawGet(site.port, pathname)).split(" ")[1], "404", pathname);
  }
});

test("forwards requests and upgrades below a prefix, without the prefix", async () => {
  assert.equal(await (await fetch(site.url("/relay/visits?x=1"), { method: "POST" })).text(), "POST /visits?x=1");
  assert.equal((await fetch(site.url("/relayed"))).status, 404);
  const answer = await new Promise((resolve, reject) => {
    const socket = connect(site.port, "127.0.0.1", () => {
      socket.write("GET /relay/socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n");
      setTimeout(() => socket.write("ping"), 100);
    });
    let text = "";
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      text += chunk;
      if (text.endsWith("ping")) socket.destroy();
    });
    socket.on("close", () => resolve(text));
  });
  assert.match(answer, /101 Switching Protocols[\s\S]*\/socket;ping$/);
});

test("serves HTTPS with a certificate of its own", async () => {
  const tls = await selfSignedCertificate(["192.0.2.7"]);
  const secure = await serve({ directory: path.join(directory, "site"), tls });
  assert.match(secure.origin, /^https:/);
  const https = await import("node:https");
  const status = await new Promise((resolve, reject) => {
    https.get(secure.url("/"), { ca: tls.cert }, (answer) => resolve(answer.resume().statusCode)).on("error", reject);
  });
  assert.equal(status, 200);
  await secure.close();
});

/** Without a client that tidies the path up. */
function rawGet(port, pathname) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () =>
      socket.write(`GET ${pathname} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    );
    let text = "";
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("close", () => resolve(text));
  });
}
