/** What a player does with an answer that is not the vault's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type OpenedRecording, Player } from "../../js/playback.js";
import { isAnswer } from "../../worker/open/reading.js";
import type { OpenEnvelope } from "../../worker/open-protocol.js";

Object.assign(globalThis, { document: { baseURI: "https://clinic.example/visits/" } });

/** What the player hands to its worker. */
async function handedOver(recording: unknown): Promise<OpenedRecording> {
  const sent: OpenEnvelope[] = [];
  const worker = {
    addEventListener: () => undefined,
    postMessage: (message: OpenEnvelope) => sent.push(message),
    terminate: () => undefined,
  } as unknown as Worker;
  const player = Player.of(worker);
  const options = { rootKey: "", clinicDocument: "", recording: recording as OpenedRecording, vaultUrl: "/vault" };
  const loading = player.load(options);
  const [envelope] = sent;
  player.close();
  await assert.rejects(loading, { code: "closed" });
  assert.ok(envelope?.request.r === "load");
  return envelope.request.recording;
}

test("an answer without parts reaches the worker, which refuses it by name", async () => {
  const answers = [
    {},
    null,
    "error",
    [],
    { recording: "r" },
    { recording: "r", parts: null },
    { recording: "r", parts: [null] },
  ];
  for (const answer of [...answers, { recording: "r", parts: [{}] }, { recording: "r", parts: [{ tracks: [null] }] }]) {
    const given = await handedOver(answer);
    assert.equal(isAnswer(given), false, JSON.stringify(answer));
  }
});

test("links are read against the vault's address", async () => {
  const track = { track: "t", share: "", url: "v1/tracks/x", size_bytes: 1, envelopes: [] };
  const part = {
    part: 0,
    open: "o",
    manifest: null,
    closing: null,
    receipt: null,
    tracks: [track, { ...track, url: null }],
  };
  const { parts } = await handedOver({ recording: "r", parts: [part] });
  const urls = parts[0]?.tracks.map(({ url }) => url);
  assert.deepEqual(urls, ["https://clinic.example/vault/v1/tracks/x", null]);
});
