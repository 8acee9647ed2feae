/**
 * One seeded recording with faults in every place, from its first slice to its receipt.
 *
 * Real: the recorder service, its sealing core, its spool, its uploader, recovery, the vault. Ours: time, the disk
 * under the spool, the line, and who consented.
 */
import { recover } from "../../worker/recording/recovery.ts";
import { RecorderService } from "../../worker/recording/recorder-service.ts";
import { Consent } from "../interop/tus-recorder.mjs";
import { PageNetwork } from "./client-http.mjs";
import { Random } from "./random.mjs";
import { SimulatedDisk } from "./simulated-opfs.mjs";
import { VirtualTime } from "./virtual-time.mjs";

const LIMITS = { limitMs: 3 * 3_600_000, limitRealMs: 60_000 };
const FAULTS_PER_RUN = 10;

export class Scenario {
  /** Every part that was begun: what was captured, and how far it was acknowledged. */
  parts = [];
  hits = [];
  requests = [];
  log = [];
  /** Of the page that recorded: when it died, virtual milliseconds. */
  diedAt = null;
  receipts = 0;
  /** The last word on each part. */
  statuses = new Map();
  #world;
  #random;
  #time;
  #disk;
  #page = null;
  #jitter;
  #isRecording = true;

  constructor(seed, world) {
    this.seed = seed;
    this.#world = world;
    this.#random = new Random(seed);
    this.#time = new VirtualTime(world.io);
    // Streams of their own: what asks in an order that real time decides must not change what comes after.
    this.#disk = new SimulatedDisk(new Random(seed ^ 0x5eed));
    this.#jitter = new Random(seed ^ 0xbac0ff);
  }

  get disk() {
    return this.#disk;
  }

  async run() {
    const { proxy, vault } = this.#world;
    proxy.reset(this.#time);
    proxy.onHit = (fault, step) => this.#hit(fault.kind === "status" ? `status ${fault.status}` : fault.kind, step);
    proxy.onRequest = (what, { method, url }) =>
      this.requests.push(`${Math.round(this.#time.elapsed)} ms: ${method} ${url} ${what}`);
    this.#time.install();
    try {
      this.consent = new Consent(vault.clinic);
      const recordMs = this.#random.between(2_000, 16_000);
      this.#plan(recordMs);
      await this.#over(this.#record(recordMs));
      if (this.diedAt !== null) await this.#over(this.#recoverAll());
      await this.#over(this.#whileDown());
    } finally {
      this.#time.uninstall();
      proxy.disarm();
      proxy.isOffline = false;
      vault.empty();
      if (proxy.target === null) await vault.restart();
    }
  }

  // --- Faults -----------------------------------------------------------------------------------------

  #plan(recordMs) {
    const random = this.#random;
    const dies = random.chance(0.5);
    for (let index = 0; index < FAULTS_PER_RUN; index++) {
      // Most requests append: the rarer ones get faults of their own.
      const steps = random.chance(0.35) ? [random.pick(["open", "envelope", "create", "offset", "end"])] : undefined;
      const at = steps ? 0 : random.between(0, recordMs);
      void this.#time.delay(at).then(this.#fault(steps));
    }
    if (dies) this.#planDeath(recordMs);
  }

  /** A fault, decided now, that happens when what is returned is called. */
  #fault(steps) {
    const { proxy, vault } = this.#world;
    const random = this.#random;
    const line = (fault) => {
      const armed = { ...fault, ...(steps ? { steps } : {}), share: random.fraction() };
      return () => proxy.arm(armed);
    };
    switch (random.between(0, 17)) {
      case 0:
        return line({ kind: "cut_request", steps: ["append"] });
      case 1:
        return line({ kind: "cut_answer", isLate: random.chance(0.5) });
      case 2:
        return line({ kind: "truncate_answer" });
      case 3:
        return line({ kind: "stall_request" });
      case 4:
        return line({ kind: "stall_answer" });
      case 5:
        return line({ kind: "delay", ms: random.between(10, 12_000), isBefore: random.chance(0.5) });
      case 6:
        return line({ kind: "duplicate", isTogether: random.chance(0.5), second: random.chance(0.5) });
      case 7:
        return line({ kind: "late_duplicate", back: random.between(1, 6) });
      case 8:
        return line({ kind: "reorder" });
      case 9:
      case 10:
      case 11: {
        const status = random.pick([401, 403, 404, 409, 410, 423, 429, 460, 500, 502, 503, 507]);
        const retryAfterS = random.chance(0.3) ? random.between(0, 5) : undefined;
        return line({ kind: "status", status, retryAfterS, isAfter: random.chance(0.3) });
      }
      case 12:
        return line({ kind: "capability", steps: ["append", "end"], expire: (message) => this.#expire(message) });
      case 13:
      case 14: {
        const downMs = random.between(0, 20_000);
        const facts = { isMidway: random.chance(0.6), isAfter: random.chance(0.5) };
        return line({ kind: "vault_killed", ...facts, kill: () => this.#killVault(downMs) });
      }
      case 15: {
        const [leave, ms] = [random.between(0, 40_000), random.between(1_000, 30_000)];
        return async () => {
          if (!vault.hasOwnDisk || proxy.target === null) return;
          proxy.onServerError = () => this.#hit("vault_disk_full");
          vault.fill(leave);
          await this.#time.delay(ms);
          vault.empty();
          proxy.onServerError = () => {};
        };
      }
      case 16: {
        const leave = random.between(0, 60_000);
        return () => {
          this.#disk.onRefused = () => this.#hit("device_full");
          this.#disk.quotaBytes = this.#disk.usedBytes() + leave;
        };
      }
      default: {
        const ms = random.between(500, 40_000);
        return async () => {
          proxy.isOffline = true;
          proxy.onRefused = () => this.#hit("offline");
          await this.#time.delay(ms);
          proxy.isOffline = false;
          this.#page?.retryNow?.();
        };
      }
    }
  }

  #hit(kind, step) {
    const same = this.hits.at(-1);
    // Offline, or a full disk, is one fault, however many requests suffer of it.
    if (same?.kind === kind && ["offline", "vault_disk_full", "device_full"].includes(kind)) return;
    this.hits.push({ kind, step, at: Math.round(this.#time.elapsed) });
    this.log.push(`${Math.round(this.#time.elapsed)} ms: ${kind}${step ? ` at ${step}` : ""}`);
  }

  #expire({ headers }) {
    const { proxy, vault } = this.#world;
    const token = /^Bearer (.*)$/.exec(headers.authorization ?? "")?.[1];
    if (!token) return;
    const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
    proxy.expired.set(token, vault.clinic.vault.jws("sv-upload+jwt", { ...claims, expires_ms: 1 }));
  }

  #down = Promise.resolve();

  async #killVault(downMs) {
    const { vault, proxy } = this.#world;
    // Dead already.
    if (proxy.target === null) return;
    await vault.kill();
    this.#down = this.#time.delay(downMs).then(() => vault.restart());
  }

  /** The vault is up again. */
  async #whileDown() {
    await this.#down;
  }

  #planDeath(recordMs) {
    const random = this.#random;
    if (random.chance(0.5)) {
      void this.#time.delay(random.between(0, recordMs + 3_000)).then(() => {
        if (this.#page && this.diedAt === null) this.#disk.crash();
        this.#die("page_killed");
      });
    } else {
      this.#disk.diesAfterBytes = random.between(0, 40_000);
      this.#disk.onDeath = () => this.#die("page_killed_writing");
    }
  }

  #die(kind) {
    if (!this.#page || this.#page.isDead) return;
    this.#hit(kind);
    this.#page.isDead = true;
    this.#page.network.kill();
    this.#time.forgetPage();
    if (this.#isRecording) this.diedAt ??= this.#time.elapsed;
    this.#page.onDeath(undefined);
  }

  // --- The pages --------------------------------------------------------------------------------------

  #newPage() {
    const network = new PageNetwork(this.#world.io);
    const page = { network, isDead: false, onDeath: (/** @type {unknown} */ _why) => {}, retryNow: null };
    page.death = new Promise((resolve) => {
      page.onDeath = resolve;
    });
    page.platform = {
      origin: this.#disk.openOrigin(),
      // Written anew for every part: little, for speed.
      reserveBytes: 32 << 10,
      upload: {
        fetch: network.fetch,
        httpStack: network.httpStack,
        random: () => this.#jitter.fraction(),
      },
    };
    page.emit = (event) => {
      if (page.isDead) return;
      if (event.e === "receipt") this.receipts += 1;
      if (event.e === "spool") this.statuses.set(event.status.part, event.status);
      else this.log.push(`${Math.round(this.#time.elapsed)} ms: ${JSON.stringify(event).slice(0, 300)}`);
    };
    this.#page = page;
    return page;
  }

  async #record(recordMs) {
    const { vault, module } = this.#world;
    const page = this.#newPage();
    const { consent } = this;
    const service = new RecorderService({
      rootKey: vault.clinic.root.x,
      clinicDocument: vault.clinic.document,
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
      emit: page.emit,
      onFatal: (error) => {
        throw error;
      },
      platform: page.platform,
    });
    page.retryNow = () => service.retryNow();
    const recording = this.#recordParts(service, page, recordMs);
    await Promise.race([recording, page.death]);
    if (page.isDead) return;
    this.#isRecording = false;
    const uploaded = Promise.all(this.parts.map(({ recording: id, part }) => service.untilUploaded(id, part)));
    await Promise.race([uploaded, page.death]);
    if (page.isDead) {
      this.diedAt = this.#time.elapsed;
      return;
    }
    service.close();
    this.#page = null;
  }

  async #recordParts(service, page, recordMs) {
    const random = this.#random;
    const pauses = random.chance(0.3) ? 2 : 1;
    let id = null;
    for (let part = 0; part < pauses; part++) {
      const begun = await this.#begin(service, page, id, part);
      if (!begun) return;
      id = begun.recording;
      const mine = { ...begun, slices: [], acknowledged: 0, lines: 0, startedAt: this.#time.elapsed, failed: false };
      this.parts.push(mine);
      await this.#slices(service, page, mine, recordMs / pauses);
      if (page.isDead || mine.failed) return;
      mine.hasEnded = true;
      service.endPart(part + 1 < pauses ? "paused" : "stopped");
    }
  }

  /** A person tries again when the vault cannot be reached. */
  async #begin(service, page, recording, part) {
    const request = {
      r: "begin_part",
      vault_url: this.#world.proxy.url,
      recording,
      part,
      media_type: 'video/webm;codecs="vp8,opus"',
      share_required: true,
    };
    for (let attempt = 0; attempt < 40 && !page.isDead; attempt++) {
      try {
        return await service.begin(request);
      } catch (error) {
        if (page.isDead) return null;
        this.log.push(`${Math.round(this.#time.elapsed)} ms: begin: ${error.message}`);
        await this.#time.delay(2_000);
        if (error.code === "spool-full") this.#disk.quotaBytes = Number.POSITIVE_INFINITY;
      }
    }
    return null;
  }

  async #slices(service, page, mine, forMs) {
    const random = this.#random;
    for (let end_us = 0; end_us < forMs * 1_000; ) {
      const sliceMs = random.between(230, 320);
      await this.#time.delay(sliceMs);
      if (page.isDead) return;
      end_us += sliceMs * 1_000;
      const bytes = random.bytes(random.chance(0.1) ? random.between(40_000, 90_000) : random.between(1, 6_000));
      mine.slices.push({ bytes, end_us });
      try {
        service.slice(bytes.slice().buffer, end_us);
        if (page.isDead) return;
        mine.acknowledged += 1;
        if (random.chance(0.1)) {
          service.eventLine({ at_us: end_us, event: "mark", text: `${mine.lines}` });
          mine.lines += 1;
        }
      } catch (error) {
        if (page.isDead) return;
        mine.failed = true;
        this.log.push(`${Math.round(this.#time.elapsed)} ms: slice: ${error.code} ${error.message}`);
        return;
      }
    }
  }

  /** Pages open one after the other until one of them has finished what was left. */
  async #recoverAll() {
    const { vault, module } = this.#world;
    const random = this.#random;
    this.#isRecording = false;
    const deaths = random.between(0, 2);
    for (let attempt = 0; ; attempt++) {
      await this.#time.delay(random.between(20, 5_000));
      const page = this.#newPage();
      if (attempt < deaths) {
        if (random.chance(0.5)) {
          this.#disk.diesAfterBytes = random.between(0, 1_500);
          this.#disk.onDeath = () => this.#die("page_killed_recovering");
        } else {
          void this.#time.delay(random.between(0, 2_000)).then(() => {
            if (this.#page !== page || page.isDead) return;
            this.#disk.crash();
            this.#die("page_killed_recovering");
          });
        }
      } else {
        this.#disk.diesAfterBytes = null;
      }
      const abort = new AbortController();
      const recovered = recover(
        {
          trust: { rootKey: vault.clinic.root.x, clinicDocument: vault.clinic.document },
          loadRecording: async () => module,
          emit: page.emit,
          platform: page.platform,
        },
        abort.signal,
      ).catch((error) => {
        if (!page.isDead) this.log.push(`recovery: ${error.stack}`);
      });
      await Promise.race([recovered, page.death]);
      if (page.isDead) continue;
      this.#page = null;
      return;
    }
  }

  async #over(promise) {
    let outcome = null;
    promise.then(
      () => {
        outcome = { ok: true };
      },
      (error) => {
        outcome = { ok: false, error };
      },
    );
    await this.#time.run(() => outcome !== null, LIMITS);
    if (!outcome.ok) throw outcome.error;
  }
}
