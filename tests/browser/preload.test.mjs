/** A worker that is started ahead of joining: taken if it is good, given up if it is not. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startCalls, until } from "../lib/calls.mjs";

let calls;

before(async () => {
  calls = await startCalls();
});

after(() => calls?.stop());

test("joining takes the worker that was started ahead", async () => {
  const person = await calls.memberPage(calls.newVisit(), { role: "clinician", source: 0 });
  await person.run("preload");
  await person.run("preload");
  await until("a worker runs", () => person.page.workers().length > 0);
  await until("WebAssembly is loaded", () => requestsFor("visit_bg.wasm") === 1);
  await person.run("join", person.given);
  await until("the clinician is in", async () => (await person.run("state")).phase === "live");
  assert.equal(person.page.workers().length, 1);
  assert.equal(requestsFor("visit_bg.wasm"), 1);
  assert.deepEqual(calls.problems, []);
});

test("a worker that could not load is given up, and joining succeeds without", async () => {
  const person = await calls.memberPage(calls.newVisit(), { role: "clinician", source: 0 });
  await person.run("preload", { wasmUrl: "/nowhere/" });
  // The server keeps no path that it does not have.
  await until("the load fails", () => calls.site.requests.some(({ status }) => status === 404));
  await until("the worker is gone", () => person.page.workers().length === 0);
  await person.run("join", person.given);
  await until("the clinician is in", async () => (await person.run("state")).phase === "live");
});

function requestsFor(name) {
  return calls.site.requests.filter(({ path }) => path.endsWith(name)).length;
}
