import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { selfSignedCertificate } from "../../scripts/lib/certificate.mjs";
import { placesByNetwork, serve } from "../../scripts/lib/static-server.mjs";

const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-site-"));
let site;

before(async () => {
  mkdirSync(path.join(directory, "site", "wasm"), { recursive: true });
  writeFileSync(path.join(directory, "secret.txt"), "secret");
  writeFileSync(path.join(directory, "site", "index.html"), "<!doctype html>home");
  writeFileSync(path.join(directory, "site", "wasm", "a.wasm"), Buffer.alloc(1_000, 7));
  site = await serve({
    directory: path.join(directory, "site"),
    connect: ["ws://127.0.0.1:4000"],
    documents: {
      "/config.json": { relay: "here" },
      "/broken.json": () => {
        throw new Error("a secret path");
      },
    },
    hosts: ["clinic.test"],
    isolated: (pathname) => pathname === "/wasm/a.wasm",
  });
});

after(async () => {
  await site.close();
  rmSync(directory, { recursive: true, force: true });
});

test("serves the index, JSON made up in the script, and 404 for the rest, always with the policy", async () => {
  for (const [pathname, status, text] of [
    ["/", 200, "<!doctype html>home"],
    ["/config.json", 200, '{"relay":"here"}'],
    ["/none", 404, "not found"],
  ]) {
    const answer = await fetch(site.url(pathname));
    assert.equal(answer.status, status, String(pathname));
    assert.equal(await answer.text(), text);
    const policy = answer.headers.get("content-security-policy");
    assert.match(policy, /script-src 'self' 'wasm-unsafe-eval';/);
    assert.match(policy, /connect-src 'self' ws:\/\/127\.0\.0\.1:4000;/);
    assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'/);
  }
});

test("sends the policy with refusals and errors as well, whatever the request was", async () => {
  const requests = {
    400: ["GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n", "nonsense\r\n", "GET / HTTP/1.1\r\n"],
    404: ["GET /none HTTP/1.1\r\nHost: localhost\r\n", "GET //evil.example/ HTTP/1.1\r\nHost: localhost\r\n"],
    405: ["POST / HTTP/1.1\r\nHost: localhost\r\n"],
    416: ["GET /wasm/a.wasm HTTP/1.1\r\nHost: localhost\r\nRange: bytes=5000-\r\n"],
    417: ["GET / HTTP/1.1\r\nHost: localhost\r\nExpect: more\r\n"],
    431: [`GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ${"x".repeat(20_000)}\r\n`],
    500: ["GET /broken.json HTTP/1.1\r\nHost: localhost\r\n"],
  };
  for (const [status, heads] of Object.entries(requests)) {
    for (const head of heads) {
      const answer = await raw(site.port, `${head}Connection: close\r\n\r\n`);
      assert.equal(answer.split(" ")[1], status, head.slice(0, 60));
      assert.match(answer, /^content-security-policy: default-src 'none'.*frame-ancestors 'none'/im, head.slice(0, 60));
      assert.match(answer, /^x-content-type-options: nosniff/im, head.slice(0, 60));
    }
  }
});

test("answers to its own names only: another name that leads here is a rebound one", async () => {
  for (const [host, status] of [
    ["localhost", "200"],
    [`127.0.0.1:${site.port}`, "200"],
    ["clinic.test:8480", "200"],
    ["evil.example", "421"],
    ["127.0.0.1.evil.example", "421"],
    ["localhost@evil.example", "400"],
    ["localhost\r\nHost: evil.example", "400"],
  ]) {
    const answer = await raw(site.port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    assert.equal(answer.split(" ")[1], status, host);
    if (status !== "200") assert.doesNotMatch(answer, /home/);
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
  for (const pathname of [
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/wasm/..%2f..%2fsecret.txt",
    "/%",
    "//secret.txt",
    "/\\secret.txt",
    "/%252e%252e/secret.txt",
  ]) {
    assert.equal((await rawGet(site.port, pathname)).split(" ")[1], "404", pathname);
  }
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
  return raw(port, `GET ${pathname} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
}

/** Everything that the server says to these bytes. */
function raw(port, bytes) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let text = "";
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("close", () => resolve(text));
  });
}

test("remembers the newest requests, and no more however many come", async () => {
  const own = await serve({ directory: path.join(directory, "site") });
  for (let count = 0; count < 2_100; count += 100) {
    const answers = Array.from({ length: 100 }, () => fetch(own.url("/none")).then((answer) => answer.text()));
    assert.ok((await Promise.all(answers)).every((text) => text === "not found"));
  }
  assert.equal(own.requests.length, 2_000);
  await (await fetch(own.url("/"))).text();
  assert.equal(own.requests.at(-1).path, "/");
  assert.equal(own.requests.length, 2_000);
  await own.close();
});

test("keeps no path that is none of its own: it may be a damaged link, with a secret", async () => {
  for (const method of ["GET", "POST"])
    for (const address of ["/index.html%23secret=abc", "//secret=abc/index.html", "/secret=abc", "/secret=abc.js"])
      await (await fetch(`${site.origin}${address}`, { method, headers: { accept: "text/html" } })).text();
  assert.doesNotMatch(JSON.stringify(site.requests), /secret=abc/);
  assert.equal(site.requests.at(-1).path, "*.js");
});

test("counts connections by IPv4 address and by /64 of IPv6", () => {
  const places = placesByNetwork(2);
  for (const [one, same, third, other] of [
    ["2001:db8::1", "2001:db8:0:0:ffff::2", "2001:db8::", "2001:db8:0:1::1"],
    ["::1", "0:0:0:0:5::", "::", "1::"],
    ["fe80::1%eth0", "fe80::2%eth0", "fe80::3", "fe80:0:0:1::1"],
    ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"],
  ]) {
    const leave = places.take(one);
    assert.ok(leave && places.take(same), one);
    assert.equal(places.take(third), null, third);
    assert.ok(places.take(other), other);
    leave();
    assert.ok(places.take(third), third);
  }
});
