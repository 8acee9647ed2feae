/** Our uploader, unchanged, against tusd, the reference server of tus: `npm run interop` builds it and runs this. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { freePort, ProcessGroup } from "../../scripts/lib/processes.mjs";
import { MemorySpoolStorage } from "../../worker/recording/spool-memory.ts";
import { TrackSpool } from "../../worker/recording/track-spool.ts";
import { TrackUpload } from "../../worker/recording/track-upload.ts";
import { segment, trackStart } from "../lib/track-bytes.ts";

const tusd = process.env.SEALED_VISIT_TUSD;
if (!tusd) throw new Error("SEALED_VISIT_TUSD names no tusd: use npm run interop");

const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-tusd-"));
const processes = new ProcessGroup();
let port;
let server;

before(async () => {
  port = await freePort();
  await start();
});
after(async () => {
  await processes.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function start() {
  server = await processes.start({
    name: "tusd",
    command: tusd,
    args: ["-host", "127.0.0.1", "-port", String(port), "-upload-dir", directory],
    listening: /You can now upload files to/,
  });
}

async function newSpool() {
  const folder = await new MemorySpoolStorage(1 << 28).folder("part");
  return TrackSpool.create(await folder.open("track"), trackStart());
}

function upload(spool, url = null) {
  const watched = { url, urls: [], acknowledged: 0 };
  const abort = new AbortController();
  const running = new TrackUpload(
    spool,
    { track: "BBBBBBBBBBBBBBBBBBBBBB", createUrl: `http://127.0.0.1:${port}/files/`, url },
    {
      capability: () => "nobody asks for it here",
      renewCapability: async () => undefined,
      onUrl: (next) => {
        watched.url = next;
        watched.urls.push(next);
      },
      onAcknowledged: (offset) => {
        watched.acknowledged = offset;
      },
      onWait: () => undefined,
      onWorks: () => undefined,
      onEnvelopeMissing: async () => assert.fail("tusd asks for no envelope"),
      onDeleted: () => assert.fail("tusd deletes nothing"),
    },
  );
  return { watched, abort, done: running.run(abort.signal) };
}

async function until(holds) {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function assertSame(spool, url) {
  assert.ok(url);
  const stored = readFileSync(path.join(directory, path.basename(url)));
  assert.ok(stored.equals(Buffer.from(spool.read(0, spool.size))), `${stored.length} of ${spool.size} bytes`);
  const info = JSON.parse(readFileSync(path.join(directory, `${path.basename(url)}.info`), "utf8"));
  assert.deepEqual([info.Size, info.SizeIsDeferred], [spool.size, false]);
}

test("a track that grows while it is uploaded arrives whole, and its length is said at the end", async () => {
  const spool = await newSpool();
  const { watched, done } = upload(spool);
  for (let index = 0; index < 20; index++) {
    spool.appendSegment(segment(20_000 + index, index), spool.size);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  spool.complete();
  await done;
  assertSame(spool, watched.url);
});

test("a track larger than a chunk, complete before, arrives whole", async () => {
  const spool = await newSpool();
  for (let index = 0; index < 11; index++) spool.appendSegment(segment(1_000_000, index), spool.size);
  spool.complete();
  const { watched, done } = upload(spool);
  await done;
  assertSame(spool, watched.url);
});

test("an upload goes on after kill -9 of the server, where the server says", async () => {
  const spool = await newSpool();
  const { watched, done } = upload(spool);
  for (let index = 0; index < 30; index++) {
    spool.appendSegment(segment(50_000, index), spool.size);
    if (index === 10 || index === 20) {
      await until(() => watched.acknowledged > index * 40_000);
      await server.kill("SIGKILL");
      await start();
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  spool.complete();
  await done;
  assertSame(spool, watched.url);
  assert.equal(watched.urls.length, 1);
});

test("an upload that an earlier page began goes on at its offset", async () => {
  const spool = await newSpool();
  spool.appendSegment(segment(300_000, 1), spool.size);
  const first = upload(spool);
  await until(() => first.watched.acknowledged === spool.size);
  first.abort.abort();
  await assert.rejects(first.done);
  spool.appendSegment(segment(300_000, 2), spool.size);
  spool.complete();
  const second = upload(spool, first.watched.url);
  await second.done;
  assert.deepEqual(second.watched.urls, []);
  assertSame(spool, second.watched.url);
});

test("an upload that the server has forgotten starts anew from the spool", async () => {
  const spool = await newSpool();
  spool.appendSegment(segment(1_000, 1), spool.size);
  const first = upload(spool);
  await until(() => first.watched.acknowledged === spool.size);
  first.abort.abort();
  await assert.rejects(first.done);
  assert.ok(first.watched.url);
  for (const ending of ["", ".info"]) rmSync(path.join(directory, path.basename(first.watched.url) + ending));
  spool.complete();
  const second = upload(spool, first.watched.url);
  await second.done;
  assert.equal(second.watched.urls[0], null);
  assertSame(spool, second.watched.url);
});
