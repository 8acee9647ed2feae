/** What becomes of a spool on a device that runs out of room, is too old, or talks to a server without receipts. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { readFileSync } from "node:fs";
import * as module from "../../dist/wasm/recording.js";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { encodeLine } from "../../worker/recording/journal.ts";
import { recover } from "../../worker/recording/recovery.ts";
import { RecorderService } from "../../worker/recording/recorder-service.ts";
import { Consent } from "../interop/tus-recorder.mjs";
import { PageNetwork } from "./client-http.mjs";
import { FaultProxy } from "./fault-proxy.mjs";
import { judge } from "./judge.mjs";
import { Random } from "./random.mjs";
import { SimulatedDisk } from "./simulated-opfs.mjs";
import { VaultProcess } from "./vault-process.mjs";
import { InFlight, VirtualTime } from "./virtual-time.mjs";

const LIMITS = { limitMs: 30 * 86_400_000, limitRealMs: 30_000 };
const DAY_MS = 86_400_000;
const MEGABYTE = 1 << 20;
/** @type {{ module: typeof module, io?: InFlight, proxy?: FaultProxy, vault?: VaultProcess }} */
const world = { module };
let time;

before(async () => {
  await module.default({ module_or_path: readFileSync(inRoot("dist", "wasm", "recording_bg.wasm")) });
  world.io = new InFlight();
  world.proxy = new FaultProxy(world.io);
  world.vault = new VaultProcess(world.io, world.proxy);
  await world.proxy.listen();
  await world.vault.start();
});

after(async () => {
  await world.proxy.close();
  await world.vault.stop();
});

beforeEach(() => {
  time = new VirtualTime(world.io);
  world.proxy.reset(time);
});

/** A page with a recorder, on a disk. */
class Page {
  events = [];
  parts = [];
  #random = new Random(7);

  constructor(disk = new SimulatedDisk(new Random(1))) {
    this.disk = disk;
    this.network = new PageNetwork(world.io);
    // What the recorder uses of a browser.
    this.platform = /** @type {any} */ ({
      origin: disk.openOrigin(),
      upload: { fetch: this.network.fetch, httpStack: this.network.httpStack, random: () => 0.5 },
    });
    const { clinic } = world.vault;
    this.trust = { rootKey: clinic.root.x, clinicDocument: clinic.document };
    this.emit = (event) => this.events.push(event);
  }

  start(consent = new Consent(world.vault.clinic)) {
    this.consent = consent;
    this.service = new RecorderService({
      ...this.trust,
      driver: {
        // What the recorder reads of it.
        state: /** @type {any} */ ({
          phase: "live",
          visit: consent.visit,
          consent: { round: consent.round, recipients: consent.recipients },
        }),
        command: async (command) => (command.c === "sign_open" ? consent.sign(command.open) : null),
        now: () => Date.now(),
      },
      loadRecording: async () => module,
      emit: this.emit,
      onFatal: (error) => assert.fail(/** @type {Error} */ (error)),
      // What the identity store keeps for a tab.
      lastPart: {
        load: async () => this.disk.lastPart ?? null,
        save: async (last) => {
          this.disk.lastPart = last;
        },
      },
      platform: this.platform,
    });
  }

  async begin({ recording = null, part = 0 } = {}) {
    const begun = await this.service.begin({
      r: "begin_part",
      vault_url: world.proxy.url,
      recording,
      part,
      media_type: 'video/webm;codecs="vp8,opus"',
      share_required: true,
    });
    this.part = { ...begun, slices: [], acknowledged: 0, lines: 0, startedAt: time.elapsed };
    this.parts.push(this.part);
  }

  slice(size = 1_000) {
    const { slices } = this.part;
    const bytes = this.#random.bytes(size);
    const end_us = (slices.length + 1) * 250_000;
    slices.push({ bytes, end_us });
    this.service.slice(bytes.slice().buffer, end_us);
    this.part.acknowledged += 1;
  }

  untilUploaded() {
    return this.service.untilUploaded(this.part.recording, this.part.part);
  }

  die() {
    this.network.kill();
    this.disk.crash();
    time.forgetPage();
  }

  /** @param {{ wipeOrders?: string[], releasesUnconfirmed?: boolean, renewCapability?: any }} [options] */
  recover({ wipeOrders = [], releasesUnconfirmed = false, renewCapability } = {}) {
    const { trust, emit, platform } = this;
    const loadRecording = async () => module;
    return recover(
      { trust, wipeOrders, releasesUnconfirmed, renewCapability, loadRecording, emit, platform },
      new AbortController().signal,
    );
  }

  warnings() {
    return this.events.filter(({ e }) => e === "spool_warning").map(({ warning }) => warning.kind);
  }
}

/** Runs `act` at virtual time. */
async function atVirtualTime(act) {
  time.install();
  let outcome = null;
  const done = act().then(
    (value) => {
      outcome = { value };
    },
    (error) => {
      outcome = { error };
    },
  );
  try {
    await time.run(() => outcome !== null, LIMITS);
    await done;
  } finally {
    time.uninstall();
  }
  if (outcome.error) throw outcome.error;
  return outcome.value;
}

test("running out of room is told while there is time, and the part ends whole, with its manifest", async () => {
  const page = new Page();
  page.disk.quotaBytes = 110 * MEGABYTE;
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    const isTold = () => page.events.some(({ e }) => e === "part_failed");
    // Something else on the device takes half a megabyte a second.
    while (!isTold() && page.part.slices.length < 2_000) {
      await time.delay(250);
      page.disk.quotaBytes -= MEGABYTE / 8;
      page.slice();
    }
    const { error } = page.events.find(({ e }) => e === "part_failed");
    assert.equal(error.code, "spool-full");
    page.slice();
    page.service.endPart("failed");
    assert.equal((await page.untilUploaded()).state, "safe");
  });
  assert.deepEqual(page.warnings(), ["storage_low", "storage_full"]);
  const low = page.events.findIndex(({ warning }) => warning?.kind === "storage_low");
  const full = page.events.findIndex(({ warning }) => warning?.kind === "storage_full");
  const between = page.events.slice(low, full).filter(({ e, status }) => e === "spool" && status.segments > 0).length;
  assert.ok(between > 200, `${between} notices between the warning and the end`);
  const { parts } = JSON.parse(await world.vault.reads(`/v1/recordings/${page.part.recording}`));
  assert.equal(parts[0].state, "finished");
  await judge(page, world, new Set());
});

test("a disk that is full at once ends the part with everything so far safe", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    for (let slice = 0; slice < 8; slice++) {
      await time.delay(250);
      page.slice();
    }
    // Not one byte more, not even of the reserve.
    page.disk.quotaBytes = 0;
    await time.delay(250);
    assert.throws(() => page.slice(), { code: "spool-full" });
    assert.equal((await page.untilUploaded()).state, "safe");
  });
  assert.equal(page.warnings().at(-1), "storage_full");
  const { parts } = JSON.parse(await world.vault.reads(`/v1/recordings/${page.part.recording}`));
  assert.equal(parts[0].state, "unfinished");
  await judge(page, world, new Set());
});

test("a disk that is full although the browser sees a gigabyte free is told by writing, and the part ends with its manifest", async () => {
  const page = new Page();
  page.platform.reserveBytes = 4 * MEGABYTE;
  const { estimate } = page.platform.origin;
  page.platform.origin.estimate = async () => ({ ...(await estimate()), quota: 2 ** 30 });
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    assert.ok(page.disk.usedBytes() > 4 * MEGABYTE, "the reserve is on the disk");
    page.disk.quotaBytes = page.disk.usedBytes() + MEGABYTE;
    const isTold = () => page.events.some(({ e }) => e === "part_failed");
    const warnedAt = [];
    while (!isTold() && page.part.slices.length < 100) {
      await time.delay(250);
      page.slice(256 << 10);
      if (page.warnings().length > warnedAt.length) warnedAt.push(page.part.slices.length);
    }
    const { error } = page.events.find(({ e }) => e === "part_failed");
    assert.equal(error.code, "spool-full");
    // Half of the reserve lies between the warning and the end.
    assert.ok(page.part.slices.length - warnedAt[0] >= 7, `${warnedAt} of ${page.part.slices.length}`);
    // What was captured until the page hears it, and the manifest.
    for (let slice = 0; slice < 4; slice++) page.slice(256 << 10);
    page.service.endPart("failed");
    assert.equal((await page.untilUploaded()).state, "safe");
  });
  assert.deepEqual(page.warnings(), ["storage_low", "storage_full"]);
  const { parts } = JSON.parse(await world.vault.reads(`/v1/recordings/${page.part.recording}`));
  assert.equal(parts[0].state, "finished");
  await judge(page, world, new Set());
});

test("a device without room for the reserve begins no part", async () => {
  const page = new Page();
  page.disk.quotaBytes = 8 * MEGABYTE;
  await atVirtualTime(async () => {
    page.start();
    await assert.rejects(page.begin(), { code: "spool-full" });
    page.service.close();
  });
  assert.deepEqual(page.disk.folders(), []);
});

test("the reserve of a page that died is let go by the next", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    page.slice();
    page.die();
    assert.ok(page.disk.usedBytes() > 16 * MEGABYTE);
    const next = new Page(page.disk);
    const recovered = next.recover();
    await time.delay(5);
    assert.ok(page.disk.usedBytes() < MEGABYTE, `${page.disk.usedBytes()} bytes`);
    await recovered;
  });
});

test("where the private file system is refused, a recording is kept in memory, says so, and is confirmed", async () => {
  const page = new Page();
  page.platform.origin.getDirectory = async () => Promise.reject(new Error("a private window"));
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    assert.equal(page.part.spool_on_disk, false);
    for (let slice = 0; slice < 4; slice++) page.slice();
    page.service.endPart("stopped");
    assert.equal((await page.untilUploaded()).state, "safe");
  });
  assert.deepEqual(page.warnings(), ["in_memory"]);
  assert.equal(page.disk.usedBytes(), 0);
  await judge(page, world, new Set());
});

test("a spool older than fourteen days alarms, and is finished", async () => {
  for (const [days, warnings] of /** @type {[number, string[]][]} */ ([
    [13, []],
    [15, ["old_spool"]],
  ])) {
    const page = new Page();
    let next;
    await atVirtualTime(async () => {
      page.start();
      await page.begin();
      page.slice();
      page.die();
      await time.delay(days * DAY_MS);
      next = new Page(page.disk);
      const [status] = await next.recover();
      assert.equal(status.state, "safe");
    });
    assert.deepEqual(next.warnings(), warnings);
    await judge(page, world, new Set());
  }
});

test("an expired capability is renewed by recovery, from nothing but the journal", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    page.slice();
    page.die();
    const claims = { recording: page.part.recording, part: 0, tracks: [page.part.mixed, page.part.events] };
    const expired = world.vault.clinic.vault.jws("sv-upload+jwt", { ...claims, expires_ms: 1 });
    // Every token that was given until now is shown to the vault as an expired one.
    const next = new Page(page.disk);
    world.proxy.onRequest = (_step, { headers }) => {
      const token = headers?.authorization?.slice(7);
      if (token && world.proxy.expired.size === 0) world.proxy.expired.set(token, expired);
    };
    const [status] = await next.recover();
    assert.equal(status.state, "safe");
    assert.ok(next.events.some(({ e }) => e === "receipt"));
    assert.ok(!next.events.some(({ e }) => e === "capability_needed"));
  });
  assert.equal(world.proxy.expired.size, 1);
  await judge(page, world, new Set());
});

test("where the open statement is refused too, recovery asks the page, once at a time, until it gets a capability", async () => {
  const page = new Page();
  const asked = [];
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    page.slice();
    page.die();
    const { recording, mixed, events } = page.part;
    const capability = (expires_ms) =>
      world.vault.clinic.vault.jws("sv-upload+jwt", { recording, part: 0, tracks: [mixed, events], expires_ms });
    // All that the journal knows has expired, and a sign-in stands before the vault.
    world.proxy.onRequest = (_step, { headers }) => {
      const token = headers?.authorization?.slice(7);
      if (token && world.proxy.expired.size === 0) world.proxy.expired.set(token, capability(1));
    };
    for (let times = 0; times < 500; times++) world.proxy.arm({ kind: "status", status: 403, steps: ["open"] });
    let pending = 0;
    const [status] = await new Page(page.disk).recover({
      renewCapability: async (part) => {
        asked.push(part);
        pending += 1;
        assert.equal(pending, 1);
        await new Promise((resolve) => setTimeout(resolve, 60_000));
        pending -= 1;
        return asked.length < 3 ? null : capability(Date.now() + 3_600_000);
      },
    });
    assert.equal(status.state, "safe");
  });
  assert.deepEqual(asked, Array(3).fill({ recording: page.part.recording, part: 0 }));
  await judge(page, world, new Set());
});

/** Envelopes and the next ends of a part are answered as by a plain tus server, which knows neither. */
function noReceipts() {
  for (let times = 0; times < 10; times++)
    world.proxy.arm({ kind: "status", status: 404, isAfter: true, steps: ["envelope"] });
  for (let times = 0; times < 5; times++) world.proxy.arm({ kind: "status", status: 404, steps: ["end"] });
}

test("with a server that gives no receipts the spool stays until it is released", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    noReceipts();
    page.start();
    await page.begin();
    page.slice();
    await assert.rejects(page.service.release(page.part.recording, 0), { code: "bad-argument" });
    page.service.endPart("stopped");
    assert.equal((await page.untilUploaded()).state, "uploaded");
    assert.equal(page.disk.folders().length, 1);
    await page.service.release(page.part.recording, 0);
    assert.deepEqual(page.disk.folders(), []);
  });
});

test("a page after it may release it too, and only if it is told to", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    noReceipts();
    page.start();
    await page.begin();
    page.slice();
    page.service.endPart("stopped");
    await page.untilUploaded();
    page.die();
    for (const [releasesUnconfirmed, left] of /** @type {[boolean, number][]} */ ([
      [false, 1],
      [true, 0],
    ])) {
      noReceipts();
      const [status] = await new Page(page.disk).recover({ releasesUnconfirmed });
      assert.equal(status.state, "uploaded");
      assert.equal(page.disk.folders().length, left);
    }
  });
});

test("a page after it asks again: a server that gives receipts after all lets the spool go", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    noReceipts();
    page.start();
    await page.begin();
    page.slice();
    page.service.endPart("stopped");
    assert.equal((await page.untilUploaded()).state, "uploaded");
    page.die();
    assert.equal(page.disk.folders().length, 1);
    world.proxy.disarm();
    const [status] = await new Page(page.disk).recover();
    assert.equal(status.state, "safe");
  });
  await judge(page, world, new Set());
});

test("404s on the way to the envelope lose nothing: the vault says that it is missing, and gets it", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    for (let times = 0; times < 10; times++) world.proxy.arm({ kind: "status", status: 404, steps: ["envelope"] });
    page.start();
    await page.begin();
    for (let slice = 0; slice < 4; slice++) page.slice();
    page.service.endPart("stopped");
    assert.equal((await page.untilUploaded()).state, "safe");
  });
  await judge(page, world, new Set());
});

test("404s on the way to the receipt are waited out: a vault that took the envelope gives one", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    page.slice();
    for (let times = 0; times < 30; times++) world.proxy.arm({ kind: "status", status: 404, steps: ["end"] });
    page.service.endPart("stopped");
    assert.equal((await page.untilUploaded()).state, "safe");
  });
  await judge(page, world, new Set());
});

test("a journal that says an envelope was stored when it was not is put right by the next page", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    world.proxy.isOffline = false;
    page.start();
    // The part is open; then the line is cut, and nothing but its spool remains.
    const begun = page.begin();
    await begun;
    world.proxy.isOffline = true;
    page.slice();
    page.die();
    const spools = await page.disk.openOrigin().getDirectory();
    const folder = await (await spools.getDirectoryHandle("sealed-visit-spool")).getDirectoryHandle(
      `${page.part.recording}.0`,
    );
    const journal = await (await folder.getFileHandle("journal")).createSyncAccessHandle();
    for (const track of [page.part.mixed, page.part.events])
      for (const entry of [{ k: "envelope_stored", track }, { k: "unconfirmed" }]) {
        const line = encodeLine(/** @type {import("../../worker/recording/journal.ts").JournalEntry} */ (entry));
        journal.write(line, { at: journal.getSize() });
        journal.flush();
      }
    journal.close();
    world.proxy.isOffline = false;
    const [status] = await new Page(page.disk).recover({ releasesUnconfirmed: true });
    assert.equal(status.state, "safe");
  });
  await judge(page, world, new Set());
});

test("a vault that refuses even fresh capabilities is asked ever more seldom, and the journal does not grow", async () => {
  const page = new Page();
  let asked = 0;
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    page.slice();
    await time.delay(2_000);
    const before = page.disk.usedBytes();
    // A proxy that refuses appends, whatever is shown to it.
    for (let times = 0; times < 100_000; times++)
      world.proxy.arm({ kind: "status", status: times % 2 ? 401 : 403, steps: ["append", "offset"] });
    world.proxy.onRequest = (step) => {
      if (!step.startsWith("->")) asked += 1;
    };
    page.slice();
    const sealed = () => page.events.findLast(({ e }) => e === "spool").status.sealed_bytes;
    const spooled = sealed();
    await time.delay(3_600_000);
    assert.ok(asked < 300, `${asked} requests in an hour`);
    assert.equal(sealed(), spooled);
    assert.ok(page.disk.usedBytes() - before < 8_000, "one slice, and next to nothing besides");
    world.proxy.disarm();
    page.service.endPart("stopped");
    assert.equal((await page.untilUploaded()).state, "safe");
  });
  await judge(page, world, new Set());
});

/** The clinic's order, as `sealed-visit clinic wipe` signs it. */
function wipeOrder(recording, signer = world.vault.clinic.root) {
  return signer.jws("sv-wipe+jwt", { recordings: [recording], reason: "device_withdrawn", at_ms: Date.now() });
}

async function wipesInAuditLog(recording) {
  const { entries } = JSON.parse(await world.vault.reads("/v1/audit?limit=500"));
  return entries
    .map(({ entry }) => JSON.parse(entry))
    .filter((one) => one.action === "spool_wiped" && one.recording === recording);
}

test("a wipe order is obeyed by the next page before anything is sent, and audited; also when that page dies", async () => {
  const page = new Page();
  const sent = [];
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    for (let slice = 0; slice < 4; slice++) page.slice();
    page.die();
    const wipeOrders = [wipeOrder(page.part.recording)];
    // The vault cannot be reached: wiped all the same, and told later.
    world.proxy.isOffline = true;
    const first = new Page(page.disk);
    void first.recover({ wipeOrders });
    await time.delay(2_000);
    assert.ok(page.disk.usedBytes() > 0, "the journal stays until the vault knows");
    assert.ok(page.disk.usedBytes() < 20_000);
    assert.equal(first.events.findLast(({ e }) => e === "spool").status.state, "wiped");
    first.die();
    world.proxy.isOffline = false;
    world.proxy.onRequest = (step) => sent.push(step);
    const [status] = await new Page(page.disk).recover();
    assert.deepEqual([status.state, status.sealed_bytes], ["wiped", 0]);
  });
  assert.deepEqual(page.disk.folders(), []);
  assert.deepEqual(
    sent.filter((step) => !step.startsWith("->")),
    ["other"],
  );
  assert.equal((await wipesInAuditLog(page.part.recording)).length, 1);
});

test("an order that the clinic's root did not sign, or for another recording, changes nothing, and is told", async () => {
  const page = new Page();
  let next;
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    page.slice();
    page.die();
    next = new Page(page.disk);
    const { recording } = page.part;
    const other = `${recording.startsWith("A") ? "B" : "A"}${recording.slice(1)}`;
    const wipeOrders = [wipeOrder(recording, world.vault.clinic.vault), wipeOrder(other), "not.an.order"];
    const [status] = await next.recover({ wipeOrders });
    assert.equal(status.state, "safe");
  });
  assert.equal(next.events.filter(({ e, error }) => e === "upload_problem" && error.code === "wipe-refused").length, 2);
  assert.equal((await wipesInAuditLog(page.part.recording)).length, 0);
  await judge(page, world, new Set());
});

test("a recording that is deleted meanwhile is let go of, on the vault's signed word and no other", async () => {
  const page = new Page();
  const before = new Page();
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    for (let slice = 0; slice < 4; slice++) page.slice();
    page.die();
    const { recording } = page.part;
    const order = world.vault.clinic.root.jws("sv-wipe+jwt", {
      recordings: [recording],
      reason: "deletion_granted",
      at_ms: Date.now(),
    });
    await world.io.track(world.vault.reads("/v1/deletions", { method: "POST", body: order }));
    // Whose word it is shows in the signature: with another clinic's vault in the document, the spool stays.
    before.disk = page.disk;
    before.platform.origin = page.disk.openOrigin();
    before.trust = { ...before.trust, clinicDocument: world.vault.clinic.documentOfAnotherVault() };
    const [refused] = await before.recover();
    assert.equal(refused.state, "sealed");
    assert.ok(page.disk.usedBytes() > 4_000);
    const [status] = await new Page(page.disk).recover();
    assert.equal(status.state, "wiped");
  });
  assert.equal(before.events.filter(({ error }) => error?.code === "receipt-invalid").length, 1);
  assert.deepEqual(page.disk.folders(), []);
  const { summary } = JSON.parse(await world.vault.reads(`/v1/recordings/${page.part.recording}`));
  assert.deepEqual([summary.state, summary.size_bytes], ["deleted", 0]);
});

test("a page that comes back with a capability that is good no longer proves the key of its spool, and finishes", async () => {
  const page = new Page();
  const next = new Page(page.disk);
  let asked = 0;
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    world.proxy.isOffline = true;
    for (let slice = 0; slice < 4; slice++) page.slice();
    page.service.setCapability(page.part.recording, page.part.part, "no.good.longer");
    page.die();
    world.proxy.isOffline = false;
    next.platform.origin = page.disk.openOrigin();
    const [status] = await next.recover({
      renewCapability: async () => {
        asked += 1;
        return null;
      },
    });
    assert.equal(status.state, "safe");
  });
  assert.equal(asked, 0, "nobody has to sign in for it");
  await judge(page, world, new Set());
});

test("a recorder's page that comes back goes on with the next part of the same recording, linked to the last known checkpoint", async () => {
  const page = new Page();
  const next = new Page(page.disk);
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    for (let slice = 0; slice < 8; slice++) {
      await time.delay(250);
      page.slice();
    }
    page.die();
    next.platform.origin = page.disk.openOrigin();
    await next.recover();
    // An answer of the vault that got lost has taken a number.
    world.proxy.arm({ kind: "cut_answer", steps: ["open"], isLate: true });
    next.start(page.consent);
    await assert.rejects(next.begin());
    await next.begin();
    for (let slice = 0; slice < 4; slice++) next.slice();
    next.service.endPart("stopped");
    assert.equal((await next.untilUploaded()).state, "safe");
  });
  assert.equal(next.part.recording, page.part.recording);
  assert.deepEqual([page.part.part, next.part.part], [0, 2]);
  const { parts } = JSON.parse(
    await world.vault.reads(`/v1/recordings/${page.part.recording}/open`, { method: "POST" }),
  );
  assert.deepEqual(
    parts.map(({ part, state }) => [part, state]),
    [
      [0, "unfinished"],
      [2, "finished"],
    ],
  );
  const { previous } = JSON.parse(Buffer.from(parts[1].open.split(".")[1], "base64url").toString());
  assert.equal(previous.part, 0);
  assert.deepEqual(previous.heads.map(([track]) => track).sort(), [page.part.mixed, page.part.events].sort());
  await judge({ parts: [...page.parts, ...next.parts], disk: page.disk }, world, new Set());
});

test("a part that fails is named by the next with chain heads that its file has", async () => {
  const page = new Page();
  page.platform.reserveBytes = 0;
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    for (let slice = 0; slice < 8; slice++) {
      await time.delay(250);
      page.slice();
    }
    // The segment is sealed, and is in no file.
    page.disk.quotaBytes = page.disk.usedBytes() + 100;
    assert.throws(() => page.slice(), { code: "spool-full" });
    await page.untilUploaded();
    page.disk.quotaBytes = Number.POSITIVE_INFINITY;
    const first = page.part;
    await page.begin({ recording: first.recording, part: 1 });
    for (let slice = 0; slice < 4; slice++) page.slice();
    page.service.endPart("stopped");
    assert.equal((await page.untilUploaded()).state, "safe");
  });
  const { parts } = JSON.parse(
    await world.vault.reads(`/v1/recordings/${page.part.recording}/open`, { method: "POST" }),
  );
  assert.deepEqual(
    parts.map(({ part, state }) => [part, state]),
    [
      [0, "unfinished"],
      [1, "finished"],
    ],
  );
  const { previous } = JSON.parse(`${Buffer.from(parts[1].open.split(".")[1], "base64url")}`);
  assert.equal(previous.part, 0);
  assert.deepEqual(previous.heads.map(([track]) => track).sort(), [page.parts[0].mixed, page.parts[0].events].sort());
  await judge(page, world, new Set());
});

test("another round of consent is another recording", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    page.slice();
    page.service.endPart("stopped");
    await page.untilUploaded();
    const next = new Page(page.disk);
    next.start();
    await next.begin();
    assert.notEqual(next.part.recording, page.part.recording);
    assert.equal(next.part.part, 0);
    next.service.close();
  });
});
