/** When the host's page locks the visit by itself, and when it leaves it alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { VisitState } from "../../js/index.js";
import type { Overview } from "../../www/lib/link.js";
import { VisitLock } from "../../www/lib/locking.js";

const invited = ["host", "patient", "guest"];

function overview(locked = false, participants = invited): Overview {
  return {
    ends_ms: 0,
    locked,
    participants: participants.map((participant) => ({
      participant,
      role: "guest",
      redeemed: true,
      second_browser: 0,
      browsers: [],
      locked: false,
      turned_away: false,
      help: [],
    })),
  };
}

/** Each visit has an id of its own: what was locked once is remembered by it. */
let visits = 0;

function scene({ byHand = false, host = true, refuses = false } = {}) {
  visits += 1;
  const done: string[] = [];
  const visit = {
    state: {} as VisitState,
    lock: async (locked?: boolean) => {
      if (refuses) throw new Error("no");
      done.push(`group ${locked}`);
      is({ locked: locked ?? true });
    },
    admit: async () => undefined,
  };
  const lockLinks = async (locked: boolean) => void done.push(`links ${locked}`);
  const is = (change: { roster?: string[]; locked?: boolean }) => {
    const { roster = visit.state.roster?.map(({ participant }) => participant) ?? [], locked = visit.state.locked } =
      change;
    const people = roster.map((participant) => ({ participant }));
    visit.state = { visit: `v${visits}`, phase: "live", me: { host }, locked, roster: people } as unknown as VisitState;
    lock?.note(visit.state);
  };
  let lock: VisitLock | undefined;
  is({ roster: ["host"], locked: false });
  lock = new VisitLock({ visit, byHand, lockLinks });
  return { lock, is, done, again: () => new VisitLock({ visit, byHand, lockLinks }) };
}

test("locks group and links when everyone who was invited is there, not before", async () => {
  const { lock, is, done } = scene();
  for (const roster of [["host"], ["host", "patient"], ["host", "patient", "recorder"]]) {
    is({ roster });
    await lock.look(overview());
  }
  assert.deepEqual(done, []);
  is({ roster: [...invited, "recorder"] });
  await lock.look(overview());
  assert.deepEqual(done, ["group true", "links true"]);
});

test("does so once: unlocked by hand it stays so, also in a page that was loaded anew", async () => {
  const { lock, is, done, again } = scene();
  is({ roster: invited });
  await lock.look(overview());
  await lock.set(false);
  assert.equal(done.length, 4);
  await lock.look(overview());
  await again().look(overview());
  assert.equal(done.length, 4);
});

test("what another host locked and unlocked is not locked again", async () => {
  const { lock, is, done } = scene();
  is({ locked: true });
  is({ roster: invited, locked: false });
  await lock.look(overview());
  assert.deepEqual(done, []);
});

test("a lock that did not succeed is tried again", async () => {
  const { lock, is, done } = scene({ refuses: true });
  is({ roster: invited });
  await assert.rejects(lock.look(overview()));
  await assert.rejects(lock.look(overview()));
  assert.deepEqual(done, []);
});

test("the template's word, a page that is not the host's, and a host who is alone leave it open", async () => {
  for (const options of [{ byHand: true }, { host: false }]) {
    const { lock, is, done } = scene(options);
    is({ roster: invited });
    await lock.look(overview());
    assert.deepEqual(done, []);
  }
  const { lock, is, done } = scene();
  is({ roster: ["host"] });
  await lock.look(overview(false, ["host"]));
  assert.deepEqual(done, []);
});

test("the authority is told what the group holds, if it was away when that changed", async () => {
  const { lock, is, done } = scene({ byHand: true });
  is({ locked: true });
  await lock.look(overview(false));
  is({ locked: false });
  await lock.look(overview(true));
  await lock.look(overview(false));
  assert.deepEqual(done, ["links true", "links false"]);
});
