/** What a page does when the relay refuses its answer: no connection is needed to find out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SealedVisitError } from "../../js/errors.js";
import { MediaSession } from "../../js/media-session.js";
import type { Protection } from "../../js/protect.js";
import type { WorkerClient } from "../../js/worker-client.js";

function fakeClient() {
  const listeners = new Map<string, Set<(event: object) => void>>();
  const requests: string[] = [];
  const client = {
    on(name: string, listener: (event: object) => void) {
      const all = listeners.get(name) ?? new Set();
      listeners.set(name, all.add(listener));
      return () => all.delete(listener);
    },
    request({ r }: { r: string }) {
      requests.push(r);
      return Promise.resolve();
    },
  };
  const emit = (name: string, event: object) => {
    for (const listener of listeners.get(name) ?? []) listener(event);
  };
  return { client: client as unknown as WorkerClient, emit, requests };
}

test("a refused answer is told, and what is received is asked for again, ever later", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const { client, emit, requests } = fakeClient();
  const session = MediaSession.of(client, {} as Protection);
  const problems: SealedVisitError[] = [];
  session.on("problem", (problem) => problems.push(problem));
  await session.start({});
  assert.deepEqual(requests, ["subscribe"]);
  const error = { code: "media-failed", message: "the relay says: too large a description" };
  // Something else that was not allowed is not about media.
  emit("media_refused", { code: "not_allowed", error });
  assert.equal(problems.length, 0);
  for (const [count, waitMs] of [500, 1_000, 2_000].entries()) {
    emit("media_refused", { code: "media", error });
    assert.equal(problems.length, count + 1);
    assert.match(String(problems[count]?.cause), /too large a description/);
    t.mock.timers.tick(waitMs - 1);
    assert.equal(requests.length, count + 1, "not yet");
    t.mock.timers.tick(1);
    assert.equal(requests.length, count + 2);
  }
  // Not after the end.
  emit("media_refused", { code: "media", error });
  session.close();
  t.mock.timers.tick(60_000);
  assert.equal(requests.length, 4);
});
