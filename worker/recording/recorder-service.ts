/** What the recorder's worker does with recordings: one part being made, and uploads of all of them. */
import { HEARTBEAT_EVERY_MS } from "../../generated/constants.js";
import type {
  CompactJws,
  ConfirmedPlace,
  OpenInput,
  ParticipantId,
  RecordingId,
  RoundId,
  TrackId,
} from "../core-types.js";
import { toFailure, WorkerError } from "../failure.js";
import type { BeginPartRequest, Event, EventLine, PartBegun, PartEndReason, SpoolStatus } from "../protocol.js";
import type { LastPart } from "../identity-store.js";
import type { VisitDriver } from "../visit-driver.js";
import type { RecordingModule } from "../wasm.js";
import { Courtesy } from "./courtesy.js";
import { LivePart, type PartContext } from "./live-part.js";
import { PartUpload, type PartUploadPlatform } from "./part-upload.js";
import type { PartSpool } from "./part-spool.js";
import { verifyDeletion, verifyReceipt } from "./receipts.js";
import { renewalProofOf } from "./renewal.js";
import { MemorySpoolStorage } from "./spool-memory.js";
import { type OriginStorage, openOpfsStorage } from "./spool-opfs.js";
import { RESERVE_BYTES } from "./reserve.js";
import type { SpoolStorage } from "./spool-storage.js";

/** More lost answers in a row are no accident. */
const TAKEN_PARTS_AT_MOST = 20;
/** About 15 minutes at 2.5 Mbit/s: the most a page holds in memory without a disk. */
const MEMORY_LIMIT_BYTES = 256 << 20;
const STORAGE_CHECK_MS = 10_000;
/** Some five minutes at 2.5 Mbit/s: time to tell a person. */
const STORAGE_LOW_BYTES = 100 << 20;
/** Some 25 seconds: time to end the part with its manifest, and to journal its upload. */
const STORAGE_STOP_BYTES = 8 << 20;

export interface RecorderContext {
  readonly rootKey: string;
  readonly clinicDocument: CompactJws;
  readonly driver: Pick<VisitDriver, "state" | "command" | "now">;
  readonly loadRecording: () => Promise<RecordingModule>;
  readonly emit: (event: Event) => void;
  readonly onFatal: (error: unknown) => void;
  /** What a page that comes back after its death needs to go on with the same recording. */
  readonly lastPart?: {
    readonly load: () => Promise<LastPart | null>;
    readonly save: (last: LastPart) => Promise<void>;
  };
  readonly platform?: RecordingPlatform;
}

/** What tests bring along instead of the browser's. */
export interface RecordingPlatform {
  readonly origin?: OriginStorage;
  readonly upload?: PartUploadPlatform;
  /** Default: {@link RESERVE_BYTES}. */
  readonly reserveBytes?: number;
}

interface SettlingPart {
  readonly spool: PartSpool;
  readonly upload: PartUpload;
  readonly uploaded: Promise<void>;
}

export class RecorderService {
  readonly #context: RecorderContext;
  readonly #parts = new Map<string, SettlingPart>();
  readonly #abort = new AbortController();
  readonly #heads = new Map<TrackId, string>();
  #module: RecordingModule | null = null;
  #storage: SpoolStorage | null = null;
  #live: LivePart | null = null;
  /** What the running part stands on. */
  #round: RoundId | null = null;
  #previous: OpenInput["previous"] | null = null;
  /** The statement that ends the running part, once there is one. */
  #withdrawal: CompactJws | null = null;
  readonly #places = new Map<ParticipantId, ConfirmedPlace>();
  readonly #courtesy = new Courtesy();
  #room: "enough" | "low" | "ending" = "enough";
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #storageCheck: ReturnType<typeof setInterval> | undefined;

  constructor(context: RecorderContext) {
    this.#context = context;
  }

  /** Downloads the module while the recorder waits, so that its start is quick. */
  async warmUp(): Promise<void> {
    await this.#loaded();
  }

  /** Someone withdrew: the manifest of the running part carries the statement. */
  noteWithdrawal(statement: CompactJws): void {
    this.#withdrawal = statement;
  }

  /** The host confirmed a place: the manifest carries that too. */
  notePlace(confirmed: ConfirmedPlace): void {
    this.#places.set(confirmed.participant, confirmed);
  }

  async begin(request: BeginPartRequest): Promise<PartBegun> {
    if (this.#live) throw new WorkerError("recorder-busy", "a part is being recorded already");
    this.#withdrawal = null;
    this.#room = "enough";
    const { driver, rootKey, clinicDocument, emit } = this.#context;
    const { state } = driver;
    if (state?.phase !== "live" || !state.consent) {
      throw new WorkerError("recorder-not-in-group", "the recorder is not in the group, or nobody was asked");
    }
    const module = await this.#loaded();
    const storage = await this.#opened();
    const { round, recipients } = state.consent;
    const { next, previous } = await this.#next(request, round);
    const live = await this.#beginFirstFree(module, storage, next, {
      visit: state.visit,
      recipients,
      rootKey,
      clinicDocument,
      previous,
      signOpen: async (open) => {
        const statement = await driver.command({ c: "sign_open", open });
        if (statement === null) throw new WorkerError("internal", "the core signed no open statement");
        return statement;
      },
      onStatus: (status) => emit({ e: "spool", status }),
      room: {
        reserveBytes: this.#context.platform?.reserveBytes ?? RESERVE_BYTES,
        // Of the last step the part's end is made.
        onRoom: (left_bytes, isLast) => this.#tellRoom(left_bytes, isLast),
      },
      fetch: this.#context.platform?.upload?.fetch,
      now: () => driver.now(),
    });
    this.#live = live;
    this.#round = round;
    const noted = this.#note(live, round);
    this.#upload(live.spool, module);
    this.#startHeartbeat(live.spool.part, round);
    if (!storage.isOnDisk) {
      emit({ e: "spool_warning", warning: { kind: "in_memory", limit_bytes: MEMORY_LIMIT_BYTES } });
    }
    this.#watchStorage(storage);
    // Before the first slice: the part after this one names it, whatever becomes of this page.
    await noted;
    const { recording, part } = live.spool;
    return { recording, part, mixed: live.mixed, events: live.events, spool_on_disk: storage.isOnDisk };
  }

  /** The part that the page asks for; or, when an earlier page recorded under the same round, the one after its last. */
  async #next(
    request: BeginPartRequest,
    round: string,
  ): Promise<{ next: BeginPartRequest; previous: PartContext["previous"] }> {
    if (request.recording !== null) return { next: request, previous: request.part > 0 ? this.#previous : null };
    const last = (await this.#context.lastPart?.load().catch(() => null)) ?? null;
    if (last?.round !== round) return { next: request, previous: null };
    const { recording, part, heads } = last;
    return { next: { ...request, recording, part: part + 1 }, previous: { part, heads } };
  }

  /** The vault may have opened a part whose answer never came: that number is taken, and stays empty. */
  async #beginFirstFree(
    module: RecordingModule,
    storage: SpoolStorage,
    request: BeginPartRequest,
    context: PartContext,
  ): Promise<LivePart> {
    for (let part = request.part; ; part++) {
      try {
        return await LivePart.begin(module, storage, { ...request, part }, context);
      } catch (error) {
        const isTaken = (error as { detail?: { vault_code?: unknown } }).detail?.vault_code === "part_exists";
        if (!isTaken || part >= request.part + TAKEN_PARTS_AT_MOST) throw error;
      }
    }
  }

  slice(data: ArrayBuffer, media_end_us: number): void {
    this.#sealing((live) => live.seal(data, media_end_us));
  }

  eventLine(line: EventLine): void {
    this.#sealing((live) => live.sealEvent(line));
  }

  gap(from_us: number, to_us: number, reason: string): void {
    this.#sealing((live) => live.gap(from_us, to_us, reason));
  }

  endPart(reason: PartEndReason): void {
    const live = this.#live;
    if (!live) return;
    this.#live = null;
    this.#stopTimers();
    for (const [track, head] of live.heads()) this.#heads.set(track, head);
    if (this.#round !== null) void this.#note(live, this.#round);
    const places = [...this.#places.values()].filter(({ round }) => round === this.#round).map(({ place }) => place);
    live.finish(reason, { withdrawal: reason === "withdrawn" ? this.#withdrawal : null, places });
  }

  /** Resolves when nothing more can be done for this part in this page. */
  async untilUploaded(recording: RecordingId, part: number): Promise<SpoolStatus> {
    const { spool, uploaded } = this.#part(recording, part);
    await uploaded;
    return spool.status();
  }

  async release(recording: RecordingId, part: number): Promise<void> {
    const { spool } = this.#part(recording, part);
    if (!spool.isUnconfirmed) throw new WorkerError("bad-argument", "this part is not uploaded yet");
    await spool.letGo();
  }

  /** Live media goes first. */
  yieldUpload(yields: boolean): void {
    this.#courtesy.set(yields);
  }

  setCapability(recording: RecordingId, part: number, capability: string | null): void {
    if (capability !== null) this.#part(recording, part).upload.setCapability(capability);
  }

  retryNow(): void {
    for (const { upload } of this.#parts.values()) upload.retryNow();
  }

  /** Bytes not yet uploaded stay on disk for recovery. */
  close(): void {
    this.#stopTimers();
    this.#live?.abandon();
    this.#live = null;
    this.#abort.abort();
    for (const { spool } of this.#parts.values()) spool.close();
  }

  #sealing(act: (live: LivePart) => void): void {
    const live = this.#live;
    if (!live) throw new WorkerError("closed", "no part is being recorded");
    try {
      act(live);
    } catch (error) {
      // Stops cleanly: sealed bytes stay, with a mark that the part ended here.
      this.#live = null;
      this.#stopTimers();
      if (error instanceof WebAssembly.RuntimeError) {
        this.#context.onFatal(error);
        throw error;
      }
      if (toFailure(error).code === "spool-full") {
        this.#context.emit({ e: "spool_warning", warning: { kind: "storage_full" } });
      }
      this.#finishAfterFailure(live);
      this.#context.emit({ e: "part_failed", error: toFailure(error) });
      throw error;
    }
  }

  /** The last segment may not be in the file: then a manifest would name bytes that nobody has. */
  #finishAfterFailure(live: LivePart): void {
    live.abandon();
  }

  /** How far a part has come, for the part after it: all of these heads are in its files. */
  async #note(live: LivePart, round: string): Promise<void> {
    const { recording, part } = live.spool;
    const heads = live.heads();
    this.#previous = { part, heads };
    await this.#context.lastPart?.save({ round, recording, part, heads }).catch(() => undefined);
  }

  #upload(spool: PartSpool, module: RecordingModule): void {
    const { rootKey, clinicDocument, emit } = this.#context;
    const { recording, part } = spool;
    const hooks = {
      verifyReceipt: (receipt: CompactJws) =>
        verifyReceipt({ module, rootKey, clinicDocument, heads: this.#heads }, receipt, spool),
      verifyDeletion: (record: CompactJws) => verifyDeletion({ module, rootKey, clinicDocument }, record, recording),
      prove: renewalProofOf(spool.about, async () => module),
      onCapabilityNeeded: () => emit({ e: "capability_needed", recording, part }),
      onReceipt: (receipt: CompactJws) => emit({ e: "receipt", recording, part, receipt }),
      onBadReceipt: (error: unknown) => emit({ e: "upload_problem", error: toFailure(error) }),
    };
    const upload = new PartUpload(spool, hooks, { courtesy: this.#courtesy, ...this.#context.platform?.upload });
    const uploaded = upload.run(this.#abort.signal).catch((error: unknown) => {
      if (!this.#abort.signal.aborted) emit({ e: "upload_problem", error: toFailure(error) });
    });
    this.#parts.set(`${recording}.${part}`, { spool, upload, uploaded });
    spool.publish();
  }

  #startHeartbeat(part: number, round: string): void {
    const beat = () => {
      const live = this.#live;
      if (!live) return;
      const { segments, sealedMediaUs: sealed_media_us } = live;
      void this.#note(live, round);
      this.#context.driver.command({ c: "heartbeat", part, segments, sealed_media_us }).catch(() => undefined);
    };
    beat();
    this.#heartbeat = setInterval(beat, HEARTBEAT_EVERY_MS);
  }

  /** Warns while there is time. The page then ends the part while its last slices and manifest still fit. */
  #watchStorage(storage: SpoolStorage): void {
    this.#storageCheck = setInterval(async () => {
      const free_bytes = await storage.freeBytes();
      if (free_bytes === null || free_bytes > STORAGE_LOW_BYTES) return;
      this.#tellRoom(free_bytes, free_bytes <= STORAGE_STOP_BYTES);
    }, STORAGE_CHECK_MS);
  }

  /** By what the browser says, or by what writing shows. */
  #tellRoom(free_bytes: number, isEnding: boolean): void {
    const { emit } = this.#context;
    if (!this.#live || this.#room === "ending") return;
    if (this.#room === "enough") emit({ e: "spool_warning", warning: { kind: "storage_low", free_bytes } });
    this.#room = isEnding ? "ending" : "low";
    if (!isEnding) return;
    const error = new WorkerError("spool-full", "there is no more room on this device; the recording ends");
    emit({ e: "spool_warning", warning: { kind: "storage_full" } });
    emit({ e: "part_failed", error: toFailure(error) });
  }

  #stopTimers(): void {
    clearInterval(this.#heartbeat);
    clearInterval(this.#storageCheck);
  }

  #part(recording: RecordingId, part: number): SettlingPart {
    const found = this.#parts.get(`${recording}.${part}`);
    if (!found) throw new WorkerError("bad-argument", "this recorder made no such part");
    return found;
  }

  async #loaded(): Promise<RecordingModule> {
    this.#module ??= await this.#context.loadRecording();
    return this.#module;
  }

  async #opened(): Promise<SpoolStorage> {
    this.#storage ??=
      (await openOpfsStorage(this.#context.platform?.origin)) ?? new MemorySpoolStorage(MEMORY_LIMIT_BYTES);
    return this.#storage;
  }
}
