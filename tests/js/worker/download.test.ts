/** A download outlives broken connections, busy servers, and its link. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { download, type Source } from "../../../worker/open/download.js";
import { Links } from "../../../worker/open/links.js";
import { retryAfterMs } from "../../../worker/retry-after.js";

const bytes = Uint8Array.from({ length: 10_000 }, (_, index) => index % 251);
/** What the server does with each request, in order; then it serves. */
let plan: ((request: IncomingMessage, response: ServerResponse) => void)[] = [];
let asked: string[] = [];
let waits: number[] = [];
let base = "";

const server = createServer((request, response) => {
  asked.push(`${request.url} ${request.headers.range}`);
  (plan.shift() ?? serve)(request, response);
});

function serve(request: IncomingMessage, response: ServerResponse, upTo = bytes.length): void {
  const [, from = "0"] = /bytes=(\d+)-/.exec(request.headers.range ?? "") ?? [];
  response.writeHead(206, { "content-length": bytes.length - Number(from) });
  response.write(bytes.subarray(Number(from), upTo));
  if (upTo === bytes.length) response.end();
  else setImmediate(() => response.destroy());
}

const refuse =
  (status: number, headers: Record<string, string> = {}) =>
  (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, headers).end("{}");
  };

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => server.close());
beforeEach(() => {
  [plan, asked, waits] = [[], [], []];
});

async function fetched(renew: Source["renew"] = async () => null): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const platform = {
    fetch,
    wait: async (ms: number) => {
      waits.push(ms);
    },
  };
  const source = { url: `${base}/first`, sizeBytes: bytes.length, renew };
  for await (const piece of download(source, new AbortController().signal, platform)) pieces.push(piece);
  return Buffer.concat(pieces);
}

test("what is busy is asked again when it says so", async () => {
  plan = [refuse(429, { "Retry-After": "7" }), refuse(408, { "Retry-After": "2" }), refuse(503), refuse(429)];
  assert.deepEqual(await fetched(), Buffer.from(bytes));
  assert.equal(asked.length, 5);
  assert.deepEqual(waits.slice(0, 2), [7_000, 2_000]);
  for (const wait of waits.slice(2)) assert.ok(wait > 0 && wait <= 5_000, `${wait} ms`);
});

test("a link that expires in the middle is replaced, and nothing is downloaded twice", async () => {
  plan = [(request, response) => serve(request, response, 4_000), refuse(403)];
  const renewed: string[] = [];
  const whole = await fetched(async (refused) => {
    renewed.push(refused);
    return `${base}/second`;
  });
  assert.deepEqual(whole, Buffer.from(bytes));
  assert.deepEqual(renewed, [`${base}/first`]);
  const from = /bytes=(\d+)-/.exec(asked.at(-1) ?? "")?.[1];
  assert.equal(asked.at(-1), `/second bytes=${from}-9999`);
  assert.equal(asked.at(-2), `/first bytes=${from}-9999`);
});

test("a fresh link that is refused, too, or none at all, ends the download with the status", async () => {
  for (const renew of [async () => `${base}/second`, async () => null]) {
    plan = [refuse(403), refuse(403)];
    await assert.rejects(fetched(renew), { code: "download-failed", detail: { http_status: 403 } });
    plan = [];
  }
  plan = [refuse(404)];
  await assert.rejects(fetched(), { code: "download-failed", detail: { http_status: 404 } });
  assert.deepEqual(waits, []);
});

test("a server that stays busy is given up after some attempts", async () => {
  plan = Array.from({ length: 20 }, () => refuse(429));
  await assert.rejects(fetched(), { code: "download-failed" });
  assert.equal(asked.length, 9);
});

test("streams whose links expire together ask for new ones once", async () => {
  let asks = 0;
  const links = new Links(() => {
    asks += 1;
  });
  const both = Promise.all([links.renew(0, "a", "old-a"), links.renew(1, "b", "old-b"), links.renew(1, "c", "old-c")]);
  links.take([
    { part: 0, track: "a", url: "new-a" },
    { part: 1, track: "b", url: "new-b" },
  ]);
  assert.deepEqual(await both, ["new-a", "new-b", null]);
  assert.equal(await links.renew(0, "a", "old-a"), "new-a");
  assert.equal(asks, 1);
  const none = links.renew(0, "a", "new-a");
  links.take(null);
  assert.equal(await none, null);
  assert.equal(asks, 2);
});

test("a time to wait is read as seconds or as a date, and never longer than ten minutes", () => {
  assert.equal(retryAfterMs("3"), 3_000);
  assert.equal(retryAfterMs("86400"), 600_000);
  const soon = retryAfterMs(new Date(Date.now() + 30_000).toUTCString()) ?? 0;
  assert.ok(soon > 25_000 && soon <= 30_000, `${soon} ms`);
  assert.equal(retryAfterMs("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  for (const text of ["", "soon", null, undefined]) assert.equal(retryAfterMs(text), null);
});
