/**
 * tus-js-client, used as its documentation shows, against the vault: nothing of ours between them. The last test kills
 * the vault while it writes.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { Upload } from "tus-js-client";
import { program } from "../../scripts/lib/paths.mjs";
import { ProcessGroup } from "../../scripts/lib/processes.mjs";
import { Clinic, RecorderRun } from "./tus-recorder.mjs";

const directory = mkdtempSync(path.join(tmpdir(), "vault-tus-"));
const processes = new ProcessGroup();
const clinic = new Clinic(directory);
let vault;
let vaultUrl;

before(async () => {
  await startVault("127.0.0.1:0");
});

after(async () => {
  await processes.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function startVault(listen) {
  vault = await processes.start({
    name: "vault",
    command: process.env.SEALED_VISIT_VAULT ?? program("sealed-visit-vault"),
    args: ["--listen", listen, ...clinic.vaultArguments],
    listening: /^listening (http:\S+)$/,
  });
  vaultUrl = vault.match[1];
}

async function newRun() {
  const run = new RecorderRun(clinic);
  await run.begin(vaultUrl);
  return run;
}

/** As in the client's README: endpoint, retryDelays, metadata, callbacks. */
function upload(run, file, options = {}) {
  const { promise, resolve, reject } = Promise.withResolvers?.() ?? withResolvers();
  /** @type {Upload & { done?: Promise<Upload> }} */
  const upload = new Upload(file, {
    endpoint: run.endpoint,
    retryDelays: [0, 100, 300, 1000, 2000],
    headers: run.headers,
    metadata: { filename: "mixed.svtrack", track: run.track },
    onError: reject,
    onSuccess: () => resolve(upload),
    ...options,
  });
  upload.done = promise;
  return upload;
}

function withResolvers() {
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  return all;
}

async function assertKept(run, track) {
  const receipt = await run.finish(track);
  assert.equal(receipt.finished, true);
  assert.equal(receipt.tracks[0].length_bytes, track.bytes.length);
  assert.equal(receipt.tracks[0].head, track.summary.head);
}

test("uploads a file of known size in one request", async () => {
  const run = await newRun();
  const track = run.trackFile([1, 100_000, 3_000_000]);
  const progress = [];
  const one = upload(run, track.bytes, { onProgress: (sent, total) => progress.push([sent, total]) });
  one.start();
  await one.done;
  assert.deepEqual(progress.at(-1), [track.bytes.length, track.bytes.length]);
  assert.equal(one.url, `${run.endpoint}/${run.track}`);
  await assertKept(run, track);
});

test("uploads in chunks, with POST instead of PATCH", async () => {
  const run = await newRun();
  const track = run.trackFile([50_000, 50_000, 50_000]);
  let chunks = 0;
  const one = upload(run, track.bytes, {
    chunkSize: 10_007,
    overridePatchMethod: true,
    onChunkComplete: () => {
      chunks += 1;
    },
  });
  one.start();
  await one.done;
  assert.equal(chunks, Math.ceil(track.bytes.length / 10_007));
  await assertKept(run, track);
});

test("uploads a stream whose length it learns at its end", async () => {
  const run = await newRun();
  const track = run.trackFile([40_000, 40_000, 40_000]);
  const pieces = [];
  for (let at = 0; at < track.bytes.length; at += 9_000) pieces.push(track.bytes.subarray(at, at + 9_000));
  const one = upload(run, Readable.from(pieces), { uploadLengthDeferred: true, chunkSize: 16_384 });
  one.start();
  await one.done;
  await assertKept(run, track);
});

test("goes on where an aborted upload ended", async () => {
  const run = await newRun();
  const track = run.trackFile([60_000, 60_000, 60_000]);
  const first = upload(run, track.bytes, { chunkSize: 20_000 });
  const stopped = new Promise((resolve) => {
    first.options.onChunkComplete = (_size, accepted) => {
      if (accepted >= 40_000) resolve(first.abort());
    };
  });
  first.start();
  await stopped;
  let resumedAt = null;
  const second = upload(run, track.bytes, {
    uploadUrl: first.url,
    onAfterResponse: (request, response) => {
      if (request.getMethod() === "HEAD") resumedAt = Number(response.getHeader("Upload-Offset"));
    },
  });
  second.start();
  await second.done;
  assert.ok(resumedAt >= 40_000, `resumed at ${resumedAt}`);
  await assertKept(run, track);
});

test("terminates an upload that holds nothing, and none that does", async () => {
  const run = await newRun();
  const track = run.trackFile([10_000]);
  const created = new Promise((resolve) => {
    const empty = upload(run, track.bytes, { onUploadUrlAvailable: () => resolve(empty.abort(false)) });
    empty.start();
  });
  await created;
  await Upload.terminate(`${run.endpoint}/${run.track}`, { headers: run.headers });
  // Gone: the client creates it again by itself.
  const again = upload(run, track.bytes, { uploadUrl: `${run.endpoint}/${run.track}` });
  again.start();
  await again.done;
  await assert.rejects(Upload.terminate(again.url, { headers: run.headers, retryDelays: [] }), /not_empty|403/);
  await assertKept(run, track);
});

test("is told clearly when its bytes are no track, and does not try again", async () => {
  const run = await newRun();
  const requests = [];
  const one = upload(run, Buffer.from("certainly not a track file"), {
    onBeforeRequest: (request) => {
      requests.push(request.getMethod());
    },
  });
  one.start();
  await assert.rejects(one.done, (/** @type {import("tus-js-client").DetailedError} */ error) => {
    assert.equal(error.originalResponse.getStatus(), 422);
    assert.equal(JSON.parse(error.originalResponse.getBody()).code, "not_a_track");
    return true;
  });
  assert.deepEqual(requests, ["POST", "PATCH"]);
});

test("survives kill -9 of the vault, several times, and ends with a receipt over every byte", async () => {
  const run = await newRun();
  const track = run.trackFile(Array.from({ length: 40 }, () => 50_000));
  const address = new URL(vaultUrl).host;
  const killAt = [200_000, 700_000, 1_300_000];
  let acknowledged = 0;
  let restarted = Promise.resolve();
  const one = upload(run, track.bytes, {
    chunkSize: 60_000,
    retryDelays: [100, 200, 400, 800, 1600, 3200],
    onAfterResponse: (request, response) => {
      const offset = Number(response.getHeader("Upload-Offset") ?? Number.NaN);
      if (request.getMethod() !== "HEAD" || Number.isNaN(offset)) return;
      assert.ok(offset >= acknowledged, `acknowledged ${acknowledged}, after the crash ${offset}`);
    },
    onChunkComplete: (_size, accepted) => {
      acknowledged = accepted;
      if (killAt.length === 0 || accepted < killAt[0]) return;
      killAt.shift();
      const dead = vault.kill();
      restarted = dead.then(() => startVault(address));
    },
  });
  one.start();
  await one.done;
  await restarted;
  assert.deepEqual(killAt, []);
  await assertKept(run, track);
});
