/**
 * One member in one worker, from its identity to its end: what `visit-worker.ts` calls for each
 * request of the page.
 */
import { fromBase64url, toBase64url } from "./base64url.js";
import { correctionBy, keptCorrection, type SignedTimes } from "./clock-evidence.js";
import type { Command, CompactJws } from "./core-types.js";
import { toFailure, WorkerError } from "./failure.js";
import { FrameCrypto } from "./frames/frame-crypto.js";
import { attachStreams, attachTransformer } from "./frames/transform.js";
import {
  deleteIdentity,
  type Identity,
  loadIdentity,
  loadLastPart,
  saveIdentity,
  saveLastPart,
  saveMemory,
} from "./identity-store.js";
import type { Event, PrepareRequest, Prepared, TransformOptions } from "./protocol.js";
import type { RecorderService } from "./recording/recorder-service.js";
import { sharedNowMs } from "./shared-clock.js";
import { VisitDriver } from "./visit-driver.js";
import { loadRecording, loadVisit, type VisitModule } from "./wasm.js";

type RecordingCode = typeof import("./recording/recorder-service.js");

/** How long after a withdrawal a last frame is looked for. */
const MEASURE_AFTER_MS = 250;

export class MemberSession {
  readonly frames: FrameCrypto;
  readonly #request: PrepareRequest;
  readonly #visit: VisitModule;
  readonly #emit: (event: Event) => void;
  readonly #identity: Identity;
  /** Null for everyone who does not record. */
  readonly #recording: RecordingCode | null;
  #driver: VisitDriver | null = null;
  #recorder: RecorderService | null = null;
  #hasFailed = false;
  /** Writes to the identity's record, one after the other. */
  #kept: Promise<void> = Promise.resolve();
  readonly #run = crypto.randomUUID();

  private constructor(
    request: PrepareRequest,
    visit: VisitModule,
    frames: FrameCrypto,
    identity: Identity,
    recording: RecordingCode | null,
    emit: (event: Event) => void,
  ) {
    this.#request = request;
    this.#visit = visit;
    this.frames = frames;
    this.#identity = identity;
    this.#recording = recording;
    this.#emit = emit;
  }

  static async prepare(
    request: PrepareRequest,
    emit: (event: Event) => void,
  ): Promise<{ session: MemberSession; prepared: Prepared }> {
    let session: MemberSession | null = null;
    let early: unknown = null;
    // A panic while loading has nobody to tell yet.
    const onPanic = (message: string) => {
      const error = new WorkerError("core-panicked", message);
      if (session) session.#fail(error);
      else early = error;
    };
    const [visit, kept, recording] = await Promise.all([
      loadVisit(request.wasm_url, onPanic),
      request.storage_key === null ? null : loadIdentity(request.storage_key).catch(() => null),
      request.role === "recorder" ? loadRecordingCode() : null,
    ]);
    if (early !== null) throw early;
    const { jwk, identity } = identify(visit, request, kept);
    const frames = new FrameCrypto(visit, {
      emit,
      onFatal: (error) => {
        if (session) session.#fail(error);
      },
    });
    session = new MemberSession(request, visit, frames, identity, recording, emit);
    const name_commitment = visit.VisitCore.nameCommitment(request.display_name, identity.name_salt);
    return { session, prepared: { jwk, name_commitment, pass: identity.pass } };
  }

  get driver(): VisitDriver {
    if (!this.#driver) throw new WorkerError("not-prepared", "join first");
    return this.#driver;
  }

  get recorder(): RecorderService {
    if (!this.#recorder) throw new WorkerError("not-prepared", "this member is not the recorder");
    return this.#recorder;
  }

  async join(pass: CompactJws): Promise<void> {
    if (this.#driver) throw new WorkerError("bad-argument", "joined already");
    const { root_key, clinic_document, display_name, relay_url } = this.#request;
    const { seed, name_salt, memories } = this.#identity;
    const entropy = crypto.getRandomValues(new Uint8Array(32));
    const config = { root_key, clinic_document, pass, seed, display_name, name_salt, entropy, memories };
    const isFresh = this.#identity.pass === null;
    const times = passClaims(pass);
    const evidence = isFresh && times ? correctionBy(times, Date.now()) : this.#identity.correction_ms;
    const correctionMs = evidence ?? 0;
    try {
      this.#driver = new VisitDriver(this.#visit, config, { relayUrl: relay_url, correctionMs }, this.frames, {
        emit: this.#emit,
        onFatal: (error) => this.#fail(error),
        onWithdrawal: (statement) => this.#recorder?.noteWithdrawal(statement),
        onPlace: (confirmed) => this.#recorder?.notePlace(confirmed),
        onRemember: (memory) => this.#keep((key) => saveMemory(key, this.#run, memory, memories)),
        onForget: () => void this.#forget(),
      });
    } catch (error) {
      const { code, message } = toFailure(error);
      // The next page load asks for a new pass.
      if (code === "refused") await this.#forget();
      if (evidence === null && times)
        throw new WorkerError("clock-wrong", message, { detail: { now_ms: times.iat * 1_000 }, cause: error });
      throw new WorkerError(code === "refused" ? "pass-refused" : "bad-argument", message, { cause: error });
    }
    await this.#keep((key) => saveIdentity(key, this.#identity, pass, correctionMs));
    seed.fill(0);
    entropy.fill(0);
    if (this.#recording) this.#makeRecorder(this.#recording, this.#driver);
    this.#driver.connect();
  }

  async command(command: Command, clickedAtMs: number | undefined): Promise<string | null> {
    const answer = this.driver.command(command);
    // The driver has shut the gate in this very task.
    if (command.c === "withdraw") this.#measureStop(clickedAtMs);
    return await answer;
  }

  hold(clickedAtMs: number | undefined): void {
    this.driver.hold();
    this.#measureStop(clickedAtMs);
  }

  attachTransformer(transformer: RTCRtpScriptTransformer): void {
    attachTransformer(this.frames, transformer);
  }

  attachStreams(options: TransformOptions, readable: ReadableStream, writable: WritableStream): void {
    attachStreams(this.frames, options, readable, writable);
  }

  retryNow(): void {
    this.#driver?.retryNow();
    this.#recorder?.retryNow();
  }

  close(): void {
    this.#recorder?.close();
    this.#driver?.close();
    // The driver has freed the visit, and the keys with it.
    this.frames.leaveEpochs();
    this.frames.kill();
  }

  #makeRecorder({ RecorderService }: RecordingCode, driver: VisitDriver): void {
    const { root_key: rootKey, clinic_document: clinicDocument, wasm_url, storage_key } = this.#request;
    this.#recorder = new RecorderService({
      rootKey,
      clinicDocument,
      driver,
      loadRecording: () => loadRecording(wasm_url, (message) => this.#fail(new WorkerError("core-panicked", message))),
      emit: this.#emit,
      onFatal: (error) => this.#fail(error),
      ...(storage_key === null
        ? {}
        : {
            lastPart: { load: () => loadLastPart(storage_key), save: (last) => saveLastPart(storage_key, last) },
          }),
    });
    this.#recorder.warmUp().catch(() => undefined);
  }

  /**
   * Writes to the record of key and memory. If that fails, the record goes: a key whose memory has a hole
   * would be worse than none, and without it a reload is a new participant, which is no reason not to take
   * part.
   */
  #keep(write: (storageKey: string) => Promise<void>): Promise<void> {
    const { storage_key } = this.#request;
    if (storage_key === null) return Promise.resolve();
    this.#kept = this.#kept
      .then(() => write(storage_key))
      .catch(() => deleteIdentity(storage_key).catch(() => undefined));
    return this.#kept;
  }

  /** The next page load asks for a new pass. */
  #forget(): Promise<void> {
    return this.#keep(deleteIdentity);
  }

  #measureStop(clickedAtMs: number | undefined): void {
    if (clickedAtMs === undefined) return;
    const { frames } = this;
    const gateAtMs = sharedNowMs();
    // The recorder has the keys of this epoch, and of those before.
    const epoch = frames.sendingEpoch ?? -1n;
    const encrypted = frames.encryptedUpTo(epoch);
    const inFlight = frames.lastForwardedAt
      .map((at) => sharedNowMs(at) - clickedAtMs)
      .filter((after_ms) => after_ms > 0);
    setTimeout(() => {
      this.#emit({
        e: "withdrawal_measured",
        gate_ms: gateAtMs - clickedAtMs,
        last_frame_ms: inFlight.length > 0 ? Math.max(...inFlight) : null,
        frames_in_flight: inFlight.length,
        frames_after: frames.encryptedUpTo(epoch) - encrypted,
      });
    }, MEASURE_AFTER_MS);
  }

  /** Closes at once and reports once; the page ends this worker. */
  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.frames.kill();
    this.#driver?.abandon();
    const failure = toFailure(error);
    this.#emit({ e: "fatal", error: { ...failure, code: "core-panicked" } });
  }
}

/** Sealing, spool and upload are a third of this worker's code; only a recorder downloads them. */
async function loadRecordingCode(): Promise<RecordingCode> {
  try {
    return await import("./recording/recorder-service.js");
  } catch (cause) {
    throw new WorkerError("worker-failed", "the recorder's part of the worker could not be loaded", { cause });
  }
}

function identify(
  visit: VisitModule,
  request: PrepareRequest,
  kept: Identity | null,
): { jwk: Prepared["jwk"]; identity: Identity } {
  const claims = kept?.pass ? passClaims(kept.pass) : null;
  const correction_ms = kept && claims ? keptCorrection(claims, kept.correction_ms, Date.now()) : null;
  const known = claims?.cnf?.jwk;
  if (kept && known && correction_ms !== null) return { jwk: known, identity: { ...kept, correction_ms } };
  const { seed: made, jwk } = visit.VisitCore.generateIdentity();
  const seed = Uint8Array.from(made);
  made.fill(0);
  const name_salt = request.name_salt ?? toBase64url(crypto.getRandomValues(new Uint8Array(16)));
  return { jwk, identity: { seed, pass: null, name_salt, correction_ms: 0, memories: [] } };
}

interface PassClaims extends SignedTimes {
  readonly cnf?: { readonly jwk?: Prepared["jwk"] };
}

/** Read without verification, to know whether to ask for another one; the core and the relay verify. */
function passClaims(pass: CompactJws): PassClaims | null {
  try {
    return JSON.parse(new TextDecoder().decode(fromBase64url(pass.split(".")[1] ?? ""))) as PassClaims;
  } catch {
    return null;
  }
}
