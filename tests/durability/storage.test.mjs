/** What becomes of a spool on a device that runs out of room, is too old, or talks to a server without receipts. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { readFileSync } from "node:fs";
import * as module from "../../dist/wasm/recording.js";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { recover } from "../../worker/recording/recovery.ts";
import { RecorderService } from "../../worker/recording/recorder-service.ts";
import { Consent } from "../interop/tus-recorder.mjs";
import { PageNetwork, toBody } from "./client-http.mjs";
import { FaultProxy } from "./fault-proxy.mjs";
import { judge } from "./judge.mjs";
import { Random } from "./random.mjs";
import { SimulatedDisk } from "./simulated-opfs.mjs";
import { VaultProcess } from "./vault-process.mjs";
import { InFlight, VirtualTime } from "./virtual-time.mjs";

const LIMITS = { limitMs: 30 * 86_400_000, limitRealMs: 30_000 };
const DAY_MS = 86_400_000;
const MEGABYTE = 1 << 20;
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
    this.platform = {
      origin: disk.openOrigin(),
      upload: { fetch: this.network.fetch, httpStack: this.network.httpStack, toBody, random: () => 0.5 },
    };
    const { clinic } = world.vault;
    this.trust = { rootKey: clinic.root.x, clinicDocument: clinic.document };
    this.emit = (event) => this.events.push(event);
  }

  start() {
    const consent = new Consent(world.vault.clinic);
    this.service = new RecorderService({
      ...this.trust,
      driver: {
        state: { phase: "live", visit: consent.visit, consent: { recipients: consent.recipients } },
        command: async (command) => (command.c === "sign_open" ? consent.sign(command.open) : null),
      },
      loadRecording: async () => module,
      emit: this.emit,
      onFatal: assert.fail,
      platform: this.platform,
    });
  }

  async begin() {
    const begun = await this.service.begin({
      r: "begin_part",
      vault_url: world.proxy.url,
      recording: null,
      part: 0,
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

  settle() {
    return this.service.settle(this.part.recording, this.part.part);
  }

  die() {
    this.network.kill();
    this.disk.crash();
    time.forgetPage();
  }

  recover() {
    const context = { trust: this.trust, loadRecording: async () => module, emit: this.emit, platform: this.platform };
    return recover(context, new AbortController().signal);
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
    assert.equal((await page.settle()).state, "safe");
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
    page.disk.quotaBytes = page.disk.usedBytes() + 100;
    await time.delay(250);
    assert.throws(() => page.slice(), { code: "spool-full" });
    assert.equal((await page.settle()).state, "safe");
  });
  assert.deepEqual(page.warnings(), ["storage_full"]);
  const { parts } = JSON.parse(await world.vault.reads(`/v1/recordings/${page.part.recording}`));
  assert.equal(parts[0].state, "unfinished");
  await judge(page, world, new Set());
});

test("a spool older than fourteen days alarms, and is finished", async () => {
  for (const [days, warnings] of [
    [13, []],
    [15, ["old_spool"]],
  ]) {
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

test("with a server that gives no receipts the spool stays until it is released", async () => {
  const page = new Page();
  const noReceipts = () => {
    for (let times = 0; times < 5; times++) world.proxy.arm({ kind: "status", status: 404, steps: ["end"] });
  };
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    page.slice();
    await assert.rejects(page.service.release(page.part.recording, 0), { code: "bad-argument" });
    noReceipts();
    page.service.endPart("stopped");
    assert.equal((await page.settle()).state, "uploaded");
    assert.equal(page.disk.folders().length, 1);
    await page.service.release(page.part.recording, 0);
    assert.deepEqual(page.disk.folders(), []);
  });
});

test("a page after it asks again: a server that gives receipts after all lets the spool go", async () => {
  const page = new Page();
  await atVirtualTime(async () => {
    page.start();
    await page.begin();
    page.slice();
    for (let times = 0; times < 5; times++) world.proxy.arm({ kind: "status", status: 404, steps: ["end"] });
    page.service.endPart("stopped");
    assert.equal((await page.settle()).state, "uploaded");
    page.die();
    assert.equal(page.disk.folders().length, 1);
    const [status] = await new Page(page.disk).recover();
    assert.equal(status.state, "safe");
  });
  await judge(page, world, new Set());
});
