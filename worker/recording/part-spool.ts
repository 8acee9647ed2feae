/**
 * One part on this device: its journal, its track files, and how safe it is.
 *
 * Opened either new, by the recorder, or by recovery from what a dead page left behind. A web lock
 * named by the part distinguishes the two: nobody recovers a live recorder's spool.
 */
import type { CompactJws, RecordingId, TrackId } from "../core-types.js";
import type { SpoolState, SpoolStatus, UploadWait } from "../protocol.js";
import { type Journal, type JournalEntry, type JournalTrack, openJournal, type PartEntry } from "./journal.js";
import { Reserve } from "./reserve.js";
import type { SpoolFolder, SpoolStorage } from "./spool-storage.js";
import { TrackSpool } from "./track-spool.js";

const JOURNAL = "journal";
const RESERVE = "reserve";

export interface SpooledTrack {
  readonly about: JournalTrack;
  readonly spool: TrackSpool;
  envelope: CompactJws | null;
  /** The vault said so. */
  isEnvelopeStored: boolean;
  uploadUrl: string | null;
  acknowledged: number;
  isUploaded: boolean;
}

export interface NewTrack {
  readonly about: JournalTrack;
  /** Magic and header. */
  readonly start: Uint8Array;
  readonly envelope: CompactJws;
}

/** Room for a part's end, and who hears that some of it had to be let go. */
export interface RoomForTheEnd {
  readonly reserveBytes: number;
  /** `left_bytes`: what may still be written; of the last of it, the part's end must be made. */
  readonly onRoom: (left_bytes: number, isLast: boolean) => void;
}

export class PartSpool {
  readonly about: PartEntry;
  readonly tracks: readonly SpooledTrack[];
  readonly #folder: SpoolFolder;
  readonly #journal: Journal;
  readonly #isOnDisk: boolean;
  readonly #releaseLock: () => void;
  readonly #onStatus: (status: SpoolStatus) => void;
  #capability: string;
  #journaledCapability: string;
  readonly #journaledUrls = new Map<TrackId, string>();
  #manifest: CompactJws | null = null;
  #receipt: CompactJws | null = null;
  #wipeOrder: CompactJws | null = null;
  #deletion: CompactJws | null = null;
  #isUnconfirmed = false;
  #state: SpoolState = "sealed";
  #sealedMediaUs = 0;
  #wait: UploadWait | null = null;
  #isGone = false;
  #reserve: Reserve | null = null;
  #onRoom: RoomForTheEnd["onRoom"] = () => undefined;

  private constructor(
    about: PartEntry,
    tracks: readonly SpooledTrack[],
    folder: SpoolFolder,
    journal: Journal,
    isOnDisk: boolean,
    releaseLock: () => void,
    onStatus: (status: SpoolStatus) => void,
  ) {
    this.about = about;
    this.tracks = tracks;
    this.#folder = folder;
    this.#journal = journal;
    this.#isOnDisk = isOnDisk;
    this.#releaseLock = releaseLock;
    this.#onStatus = onStatus;
    this.#capability = about.capability;
    this.#journaledCapability = about.capability;
  }

  /** The journal stands before the first byte of a track: what is found later can be uploaded. */
  static async create(
    storage: SpoolStorage,
    about: PartEntry,
    newTracks: readonly NewTrack[],
    onStatus: (status: SpoolStatus) => void,
    room: RoomForTheEnd | null = null,
  ): Promise<PartSpool> {
    const name = folderName(about.recording, about.part);
    const releaseLock = await holdLock(name);
    if (!releaseLock) throw new Error("this part is being recorded, or recovered, in another page");
    const opened: { close(): void }[] = [];
    let folder: SpoolFolder | null = null;
    try {
      folder = await storage.folder(name);
      const { journal } = openJournal(await folder.open(JOURNAL));
      opened.push(journal);
      journal.append(about);
      const tracks: SpooledTrack[] = [];
      for (const { about: track, start, envelope } of newTracks) {
        journal.append({ k: "envelope", track: track.track, envelope });
        const file = await folder.open(fileName(track.track));
        opened.push(file);
        tracks.push(spooled(track, TrackSpool.create(file, start), envelope));
      }
      const spool = new PartSpool(about, tracks, folder, journal, storage.isOnDisk, releaseLock, onStatus);
      if (room && storage.isOnDisk) {
        const file = await folder.open(RESERVE);
        opened.push(file);
        spool.#reserve = Reserve.allocate(file, room.reserveBytes);
        spool.#onRoom = room.onRoom;
      }
      return spool;
    } catch (error) {
      // Nothing was sealed: what is half made must not stay, and hold the room that was missing.
      for (const file of opened) file.close();
      await folder?.remove().catch(() => undefined);
      releaseLock();
      throw error;
    }
  }

  /** Null: nothing worth keeping was found, or someone else has it. */
  static async recover(
    storage: SpoolStorage,
    name: string,
    onStatus: (status: SpoolStatus) => void,
  ): Promise<PartSpool | null> {
    const releaseLock = await holdLock(name);
    if (!releaseLock) return null;
    const opened: { close(): void }[] = [];
    try {
      const folder = await storage.folder(name);
      const { entries, journal } = openJournal(await folder.open(JOURNAL));
      opened.push(journal);
      const about = entries[0];
      if (about?.k !== "part") {
        // It died before the journal's first line: not one segment can have been sealed.
        journal.close();
        await folder.remove();
        releaseLock();
        return null;
      }
      await dropReserve(folder);
      const tracks: SpooledTrack[] = [];
      for (const track of about.tracks) {
        const file = await folder.open(fileName(track.track));
        opened.push(file);
        tracks.push(spooled(track, TrackSpool.recover(file), null));
      }
      const spool = new PartSpool(about, tracks, folder, journal, storage.isOnDisk, releaseLock, onStatus);
      for (const entry of entries) spool.#replay(entry);
      return spool;
    } catch (error) {
      // The next attempt, in this page or another, finds it as it was.
      for (const file of opened) file.close();
      releaseLock();
      throw error;
    }
  }

  get recording(): RecordingId {
    return this.about.recording;
  }

  get part(): number {
    return this.about.part;
  }

  get capability(): string {
    return this.#capability;
  }

  get manifest(): CompactJws | null {
    return this.#manifest;
  }

  get receipt(): CompactJws | null {
    return this.#receipt;
  }

  /** The clinic's order by which the tracks were wiped. */
  get wipeOrder(): CompactJws | null {
    return this.#wipeOrder;
  }

  /** The vault's record that the recording is deleted. */
  get deletion(): CompactJws | null {
    return this.#deletion;
  }

  /** Whether this page found everything at a server that gives no receipts. */
  get isUnconfirmed(): boolean {
    return this.#isUnconfirmed;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  track(id: TrackId): SpooledTrack {
    const track = this.tracks.find(({ about }) => about.track === id);
    if (!track) throw new Error("no such track in this part");
    return track;
  }

  // --- Changes -------------------------------------------------------------------------------------
  //
  // None of them is worth a sealed byte. Where the disk takes no more lines, this page goes on with what it knows; a
  // page after it asks the vault again, or the vault closes the part without its manifest.

  /** Used from now on; written down once the vault has taken it. */
  setCapability(capability: string): void {
    this.#capability = capability;
  }

  /** The vault has taken this capability: a later page starts with it. */
  noteCapabilityWorks(capability: string): void {
    if (capability === this.#journaledCapability || capability !== this.#capability) return;
    this.#note({ k: "capability", capability });
  }

  setManifest(manifest: CompactJws): void {
    this.#note({ k: "manifest", manifest });
    this.endRecording();
  }

  /** A sealed segment, durable when this returns. A full disk takes it from the reserve. */
  appendSegment(track: TrackId, bytes: Uint8Array, offset: number): void {
    this.#withRoom(() => this.track(track).spool.appendSegment(bytes, offset));
  }

  /** Nothing more is recorded: the reserve goes, and the uploads know their length. */
  endRecording(): void {
    this.#reserve?.close();
    this.#reserve = null;
    for (const { spool } of this.tracks) spool.complete();
  }

  /** Only when the vault has acknowledged it. */
  noteEnvelopeStored(track: TrackId): void {
    this.#note({ k: "envelope_acknowledged", track });
  }

  /** The vault says that it has no envelope of this track. */
  noteEnvelopeMissing(track: TrackId): void {
    this.track(track).isEnvelopeStored = false;
  }

  /** Null: the server has forgotten it. That is not written down: a later page asks at the old URL, and hears the same. */
  noteUploadUrl(track: TrackId, url: string | null): void {
    if (url === null) {
      this.track(track).uploadUrl = null;
      this.track(track).isUploaded = false;
    } else if (this.#journaledUrls.get(track) === url) {
      this.track(track).uploadUrl = url;
    } else {
      this.#note({ k: "upload", track, url });
    }
  }

  /** The vault no longer has what it acknowledged: this page asks for the offset, and sends what is missing. */
  noteBytesMissing(track: TrackId): void {
    this.track(track).isUploaded = false;
    this.track(track).isEnvelopeStored = false;
    this.#state = "sealed";
    this.publish();
  }

  noteUploaded(track: TrackId): void {
    this.#note({ k: "uploaded", track });
  }

  /** The server gives no receipts: only the embedding page may let go. */
  noteUnconfirmed(): void {
    // Nobody has acknowledged anything: a later page asks again.
    this.#isUnconfirmed = true;
    this.#setState("uploaded");
  }

  /** Only at an order that was verified. What is sealed is gone; the journal stays until the vault knows. */
  wipe(order: CompactJws): void {
    this.#note({ k: "wipe", order });
    for (const { spool } of this.tracks) spool.wipe();
    this.publish();
  }

  /** Only after the record was verified. */
  noteDeleted(record: CompactJws): void {
    this.#note({ k: "deleted", record });
    this.publish();
  }

  /** Only after the receipt was verified. */
  noteReceipt(receipt: CompactJws): void {
    this.#note({ k: "receipt", receipt });
    this.#setState("safe");
  }

  // --- Progress ---------------------------------------------------------------------------------------

  noteAcknowledged(track: TrackId, offset: number): void {
    this.track(track).acknowledged = offset;
    this.publish();
  }

  noteSealed(media_us: number): void {
    this.#sealedMediaUs = Math.max(this.#sealedMediaUs, media_us);
    this.publish();
  }

  noteWait(wait: UploadWait | null): void {
    if (wait === null && this.#wait === null) return;
    this.#wait = wait;
    this.publish();
  }

  noteAllUploaded(): void {
    if (this.#state === "sealed") this.#setState("uploaded");
  }

  status(): SpoolStatus {
    const sum = (of: (track: SpooledTrack) => number) => this.tracks.reduce((total, track) => total + of(track), 0);
    return {
      recording: this.recording,
      part: this.part,
      state: this.#state,
      sealed_bytes: sum(({ spool }) => spool.size),
      uploaded_bytes: sum(({ acknowledged }) => acknowledged),
      segments: sum(({ spool }) => spool.segments),
      sealed_media_us: this.#sealedMediaUs,
      finished: this.#manifest !== null,
      on_disk: this.#isOnDisk,
      created_ms: this.about.created_ms,
      ...(this.#wait ? { waiting: this.#wait } : {}),
    };
  }

  publish(): void {
    if (!this.#isGone) this.#onStatus(this.status());
  }

  /** Closes the files and leaves them where they are. */
  close(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#reserve?.close();
    this.#reserve = null;
    for (const { spool } of this.tracks) spool.close();
    this.#journal.close();
    this.#releaseLock();
  }

  /** Deletes everything of this part on this device. */
  async letGo(): Promise<void> {
    if (this.#isGone) return;
    this.close();
    await this.#folder.remove();
  }

  #setState(state: SpoolState): void {
    this.#state = state;
    this.publish();
  }

  /** Whatever fails while there is a reserve is tried again with a part of it: only the trial shows what it was. */
  #withRoom(write: () => void): void {
    for (;;) {
      try {
        write();
        return;
      } catch (error) {
        if (!this.#reserve?.release()) throw error;
        this.#onRoom(this.#reserve.bytes, this.#reserve.bytes === 0);
      }
    }
  }

  #note(entry: JournalEntry): void {
    try {
      if (entry.k === "manifest") this.#withRoom(() => this.#journal.append(entry));
      else this.#journal.append(entry);
    } catch {
      // What was half written was cut off; a line after it stands on its own.
    }
    this.#replay(entry);
  }

  #replay(entry: JournalEntry): void {
    switch (entry.k) {
      case "part":
        break;
      case "capability":
        this.#capability = entry.capability;
        this.#journaledCapability = entry.capability;
        break;
      case "envelope":
        this.track(entry.track).envelope = entry.envelope;
        break;
      case "envelope_acknowledged":
        this.track(entry.track).isEnvelopeStored = true;
        break;
      case "envelope_stored":
        break;
      case "upload":
        this.track(entry.track).uploadUrl = entry.url;
        if (entry.url !== null) this.#journaledUrls.set(entry.track, entry.url);
        if (entry.url === null) this.track(entry.track).isUploaded = false;
        break;
      case "uploaded":
        this.track(entry.track).isUploaded = true;
        this.track(entry.track).acknowledged = this.track(entry.track).spool.size;
        break;
      case "manifest":
        this.#manifest = entry.manifest;
        break;
      case "receipt":
        this.#receipt = entry.receipt;
        this.#state = "safe";
        break;
      case "wipe":
        this.#wipeOrder = entry.order;
        this.#state = "wiped";
        break;
      case "deleted":
        this.#deletion = entry.record;
        this.#state = "wiped";
        break;
      case "unconfirmed":
        break;
      default:
        entry satisfies never;
    }
  }
}

/** What a dead page left of it. */
async function dropReserve(folder: SpoolFolder): Promise<void> {
  if (!(await folder.files()).includes(RESERVE)) return;
  const file = await folder.open(RESERVE);
  file.truncate(0);
  file.close();
}

export function folderName(recording: RecordingId, part: number): string {
  return `${recording}.${part}`;
}

function fileName(track: TrackId): string {
  return `${track}.svtrack`;
}

function spooled(about: JournalTrack, spool: TrackSpool, envelope: CompactJws | null): SpooledTrack {
  return {
    about,
    spool,
    envelope,
    isEnvelopeStored: false,
    uploadUrl: null,
    acknowledged: 0,
    isUploaded: false,
  };
}

/** Null when another page holds it. Without the Web Locks API (tests) everything is free. */
async function holdLock(name: string): Promise<(() => void) | null> {
  const { navigator } = globalThis as { navigator?: { locks?: LockManager } };
  const locks = navigator?.locks;
  if (!locks) return () => undefined;
  return await new Promise((resolve, reject) => {
    locks
      .request(`sealed-visit:spool:${name}`, { ifAvailable: true }, async (lock) => {
        if (!lock) {
          resolve(null);
          return;
        }
        await new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}
