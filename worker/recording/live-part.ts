/**
 * A part while it is recorded: slices in, sealed segments on the disk, bytes to the vault.
 *
 * Order for every slice: seal, append, flush; only then count, report, and upload. A slice
 * whose segment could not be written is lost and never sealed again: the part ends there.
 */
import type { CompactJws, OpenInput, RecipientRef, RecordingId, TrackId, VisitId } from "../core-types.js";
import { WorkerError } from "../failure.js";
import type { BeginPartRequest, EventLine, PartEndReason, SpoolStatus } from "../protocol.js";
import type { PartRecorder, RecordingModule, SealedSlice } from "../wasm.js";
import type { PartEntry } from "./journal.js";
import { PartSpool, type RoomForTheEnd } from "./part-spool.js";
import { release } from "./release.js";
import { type SpoolStorage, StorageFullError } from "./spool-storage.js";
import { VaultClient, VaultError } from "./vault-client.js";

export interface PartContext {
  readonly visit: VisitId;
  readonly recipients: readonly RecipientRef[];
  readonly rootKey: string;
  readonly clinicDocument: CompactJws;
  readonly previous: OpenInput["previous"] | null;
  /** The visit core's `sign_open`. */
  readonly signOpen: (open: OpenInput) => Promise<CompactJws>;
  readonly onStatus: (status: SpoolStatus) => void;
  readonly room: RoomForTheEnd;
  readonly fetch: typeof fetch | undefined;
  /** Wall clock, milliseconds, never less than before. */
  readonly now: () => number;
}

/** What the manifest carries besides: signed by others. */
export interface PartEvidence {
  readonly withdrawal: CompactJws | null;
  readonly places: readonly CompactJws[];
}

const EVENTS_MEDIA_TYPE = "application/x-ndjson";

export class LivePart {
  readonly spool: PartSpool;
  readonly mixed: TrackId;
  readonly events: TrackId;
  readonly #now: () => number;
  #sealer: PartRecorder | null;
  #mediaEndUs = 0;

  private constructor(
    spool: PartSpool,
    sealer: PartRecorder,
    { mixed, events, now }: { mixed: TrackId; events: TrackId; now: () => number },
  ) {
    this.spool = spool;
    this.#sealer = sealer;
    this.#now = now;
    this.mixed = mixed;
    this.events = events;
  }

  /** Nothing exists before the open statement is signed and the vault has accepted it. */
  static async begin(
    module: RecordingModule,
    storage: SpoolStorage,
    request: BeginPartRequest,
    context: PartContext,
  ): Promise<LivePart> {
    const recording: RecordingId = request.recording ?? module.PartDraft.newRecordingId();
    const { part } = request;
    const draft = new module.PartDraft(context.rootKey, context.clinicDocument, {
      visit: context.visit,
      recording,
      part,
      tracks: [
        { content: { kind: "mixed" }, media_type: request.media_type },
        { content: { kind: "events" }, media_type: EVENTS_MEDIA_TYPE },
      ],
      recipients: context.recipients,
      share_required: request.share_required,
    });
    const { recording_key, tracks } = draft.openInput();
    const [mixed, events] = tracks.map(({ track }) => track);
    if (mixed === undefined || events === undefined) throw new WorkerError("internal", "the draft has no tracks");
    const open = await context.signOpen({
      recording,
      part,
      recording_key,
      tracks,
      ...(context.previous ? { previous: context.previous } : {}),
    });
    const vault = new VaultClient(request.vault_url, context.fetch);
    const renewal = { key: module.PartDraft.newRenewalKey(), vault: draft.vaultKey() };
    const prove = async (at_ms: number) => draft.prove(open, renewal.key, at_ms);
    const answer = await vault.beginPart(open, prove).catch((error: unknown) => {
      throw error instanceof VaultError ? error.toWorkerError() : error;
    });
    const sealer = draft.start(open, [...answer.tracks], context.now());
    const about: PartEntry = {
      k: "part",
      v: 1,
      recording,
      part,
      vault_url: vault.baseUrl,
      created_ms: Date.now(),
      open,
      tracks: answer.tracks.map(({ track, create_url }) => ({
        track,
        content: track === mixed ? "mixed" : "events",
        create_url,
      })),
      capability: answer.capability,
      capability_expires_ms: answer.capability_expires_ms,
      renewal,
    };
    try {
      const newTracks = about.tracks.map((track) => ({
        about: track,
        start: sealer.trackStart(track.track),
        envelope: sealer.envelope(track.track),
      }));
      const spool = await PartSpool.create(storage, about, newTracks, context.onStatus, context.room);
      return new LivePart(spool, sealer, { mixed, events, now: context.now });
    } catch (cause) {
      sealer.free();
      if (cause instanceof StorageFullError) throw new WorkerError("spool-full", cause.message, { cause });
      throw new WorkerError("spool-busy", "the spool could not be made", { cause });
    }
  }

  get segments(): number {
    return this.spool.tracks.reduce((sum, { spool }) => sum + spool.segments, 0);
  }

  get sealedMediaUs(): number {
    return this.#mediaEndUs;
  }

  /** Chain heads, for a part that goes on after this one. */
  heads(): readonly (readonly [TrackId, string])[] {
    return this.#sealer?.heads() ?? [];
  }

  /** Seals one slice of the mixed track; `slice` is wiped, and empty afterwards. */
  seal(slice: ArrayBuffer, media_end_us: number): void {
    const bytes = new Uint8Array(slice);
    try {
      // Two slices may arrive in the same moment. Time never runs backward.
      const end_us = Math.max(media_end_us, this.#mediaEndUs);
      this.#append(this.mixed, this.#needSealer().seal(this.mixed, bytes, end_us, this.#now()));
      this.#mediaEndUs = end_us;
      this.spool.noteSealed(end_us);
    } finally {
      bytes.fill(0);
      release(bytes);
    }
  }

  sealEvent(line: EventLine): void {
    const at_us = this.#eventTime(line.at_us);
    this.#append(this.events, this.#needSealer().sealEvents(this.events, [line], at_us, this.#now()));
  }

  gap(from_us: number, to_us: number, reason: string): void {
    this.#needSealer().gap(this.mixed, from_us, to_us, reason);
  }

  /** Signs the manifest and wipes all keys. Nothing can be sealed afterwards. */
  finish(reason: PartEndReason, { withdrawal, places }: PartEvidence): void {
    const sealer = this.#needSealer();
    this.#sealer = null;
    this.spool.setManifest(
      sealer.finish({ reason, ended_ms: this.#now(), places, ...(withdrawal !== null && { withdrawal }) }),
    );
    this.spool.publish();
  }

  /** After a failure of the disk: keys are wiped, what is sealed stays, the vault closes it as unfinished. */
  abandon(): void {
    this.#sealer?.free();
    this.#sealer = null;
    this.spool.endRecording();
  }

  #lastEventUs = 0;

  #eventTime(at_us: number): number {
    this.#lastEventUs = Math.max(this.#lastEventUs, at_us);
    return this.#lastEventUs;
  }

  /** The next slice is sealed into the same bytes: they are written now. */
  #append(track: TrackId, [offset, bytes]: SealedSlice): void {
    try {
      this.spool.appendSegment(track, bytes, offset);
    } catch (cause) {
      if (cause instanceof StorageFullError) throw new WorkerError("spool-full", cause.message, { cause });
      throw new WorkerError("internal", "a sealed segment could not be written", { cause });
    }
  }

  #needSealer(): PartRecorder {
    if (!this.#sealer) throw new WorkerError("closed", "this part has ended");
    return this.#sealer;
  }
}
