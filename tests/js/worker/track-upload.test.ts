/** Our uploader against `@tus/server`, unchanged, while the track grows and the line fails. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { UploadWait } from "../../../worker/protocol.js";
import { MemorySpoolStorage } from "../../../worker/recording/spool-memory.js";
import { TrackSpool } from "../../../worker/recording/track-spool.js";
import { TrackUpload } from "../../../worker/recording/track-upload.js";
import { segment, trackStart } from "../../lib/track-bytes.js";
import { startTusServer } from "../../lib/tus-server.js";

let server: Awaited<ReturnType<typeof startTusServer>>;
before(async () => {
  server = await startTusServer();
});
after(() => server.close());
beforeEach(() => {
  server.failWith(() => null);
  server.seen.length = 0;
});

/** What Node's HTTP takes; tus-js-client reads `size` from it as from a Blob. */

async function newSpool() {
  const folder = await new MemorySpoolStorage(1 << 28).folder("part");
  return TrackSpool.create(await folder.open("track"), trackStart());
}

interface Watched {
  url: string | null;
  readonly urls: (string | null)[];
  readonly waits: UploadWait[];
  acknowledged: number;
  capability: string;
  renewals: number;
}

function start(spool: TrackSpool, { url = null, renewTo }: { url?: string | null; renewTo?: string } = {}) {
  const watched: Watched = { url, urls: [], waits: [], acknowledged: 0, capability: "first", renewals: 0 };
  const abort = new AbortController();
  const upload = new TrackUpload(
    spool,
    { track: "BBBBBBBBBBBBBBBBBBBBBB", createUrl: server.createUrl, url },
    {
      capability: () => watched.capability,
      renewCapability: async (_used, signal) => {
        watched.renewals += 1;
        if (renewTo === undefined) await new Promise((resolve) => signal.addEventListener("abort", resolve));
        else watched.capability = renewTo;
      },
      onDeleted: () => {
        throw new Error("deleted");
      },
      onUrl: (next) => {
        watched.url = next;
        watched.urls.push(next);
      },
      onAcknowledged: (offset) => {
        watched.acknowledged = offset;
      },
      onWait: (wait) => {
        if (wait) watched.waits.push(wait);
      },
    },
    { random: () => 0 },
  );
  return { watched, abort, upload, done: upload.run(abort.signal) };
}

function assertSame(spool: TrackSpool, url: string | null): void {
  assert.ok(url);
  assert.deepEqual(server.bytes(url), new Uint8Array(spool.read(0, spool.size)));
}

test("a track that grows while it is uploaded arrives whole, and its length is said at the end", async () => {
  const spool = await newSpool();
  const { watched, done } = start(spool);
  for (let index = 0; index < 20; index++) {
    spool.appendSegment(segment(1_000 + index, index), spool.size);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  spool.complete();
  await done;
  assertSame(spool, watched.url);
  assert.equal(watched.acknowledged, spool.size);
  const lengths = server.seen.flatMap(({ uploadLength }) => (uploadLength === undefined ? [] : [uploadLength]));
  assert.deepEqual(lengths, [String(spool.size)]);
  assert.ok(server.seen.every(({ authorization }) => authorization === "Bearer first"));
});

test("a track that was complete before, and one that ends without another byte, arrive whole", async () => {
  const complete = await newSpool();
  complete.appendSegment(segment(9_000_000, 1), complete.size);
  complete.complete();
  const first = start(complete);
  await first.done;
  assertSame(complete, first.watched.url);

  const waiting = await newSpool();
  waiting.appendSegment(segment(100, 1), waiting.size);
  const second = start(waiting);
  while (second.watched.acknowledged < waiting.size) await new Promise((resolve) => setTimeout(resolve, 5));
  waiting.complete();
  await second.done;
  assertSame(waiting, second.watched.url);
});

test("5xx, 429, 423, 409 and cut connections are waited out", async () => {
  const spool = await newSpool();
  for (let index = 0; index < 8; index++) spool.appendSegment(segment(50_000, index), spool.size);
  spool.complete();
  const faults = [
    { kind: "status", status: 503, headers: { "Retry-After": "0" } },
    { kind: "status", status: 500, headers: { "Retry-After": "0" } },
    { kind: "status", status: 429, headers: { "Retry-After": "0" } },
    { kind: "status", status: 423, headers: { "Retry-After": "0" } },
    { kind: "status", status: 409, headers: { "Retry-After": "0" } },
    { kind: "cut", afterBytes: 20_000 },
  ] as const;
  let next = 0;
  server.failWith(() => faults[next++] ?? null);
  const { watched, done } = start(spool);
  await done;
  assertSame(spool, watched.url);
  assert.deepEqual(
    watched.waits.map(({ why, http_status }) => [why, http_status]),
    [
      ["server_error", 503],
      ["server_error", 500],
      ["server_error", 429],
      ["locked", 423],
      ["locked", 409],
      ["offline", 0],
    ],
  );
});

test("401 and 403 ask for a new capability, and go on with it", async () => {
  const spool = await newSpool();
  spool.appendSegment(segment(1_000, 1), spool.size);
  spool.complete();
  for (const status of [401, 403]) {
    server.failWith(({ headers }) => (headers.authorization === "Bearer second" ? null : { kind: "status", status }));
    const { watched, done } = start(spool, { renewTo: "second" });
    await done;
    assertSame(spool, watched.url);
    assert.equal(watched.renewals, 1);
    assert.deepEqual(watched.waits[0], { why: "capability", http_status: status });
  }
});

test("an upload that the server has forgotten starts anew from the spool", async () => {
  const spool = await newSpool();
  spool.appendSegment(segment(1_000, 1), spool.size);
  const first = start(spool);
  while (first.watched.acknowledged < spool.size) await new Promise((resolve) => setTimeout(resolve, 5));
  first.abort.abort();
  await assert.rejects(first.done);
  assert.ok(first.watched.url);
  server.forget(first.watched.url);

  spool.appendSegment(segment(1_000, 2), spool.size);
  spool.complete();
  const second = start(spool, { url: first.watched.url });
  await second.done;
  assert.equal(second.watched.urls[0], null);
  assert.notEqual(second.watched.url, first.watched.url);
  assertSame(spool, second.watched.url);
});

test("a known upload goes on at the server's offset, and nothing is sent twice", async () => {
  const spool = await newSpool();
  spool.appendSegment(segment(300_000, 1), spool.size);
  const first = start(spool);
  while (first.watched.acknowledged < spool.size) await new Promise((resolve) => setTimeout(resolve, 5));
  first.abort.abort();
  await assert.rejects(first.done);

  server.seen.length = 0;
  spool.appendSegment(segment(300_000, 2), spool.size);
  spool.complete();
  const second = start(spool, { url: first.watched.url });
  await second.done;
  assertSame(spool, second.watched.url);
  assert.deepEqual(
    server.seen.map(({ method }) => method),
    ["HEAD", "PATCH"],
  );
});

test("a request that is never answered is noticed within ten seconds", async () => {
  const spool = await newSpool();
  spool.appendSegment(segment(1_000, 1), spool.size);
  spool.complete();
  let isStalled = false;
  server.failWith(({ method }) => {
    if (method !== "PATCH" || isStalled) return null;
    isStalled = true;
    return { kind: "stall" };
  });
  const startedAt = performance.now();
  const { watched, done } = start(spool);
  await done;
  assert.ok(performance.now() - startedAt < 12_000);
  assert.equal(watched.waits[0]?.why, "stalled");
  assertSame(spool, watched.url);
});

test("nothing is sent after an abort", async () => {
  const spool = await newSpool();
  const { abort, watched, done } = start(spool);
  while (watched.acknowledged < spool.size) await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort();
  await assert.rejects(done);
  const before = server.seen.length;
  spool.appendSegment(segment(1_000, 1), spool.size);
  spool.complete();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(server.seen.length, before);
});
