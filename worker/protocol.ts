/**
 * The messages between a page and its workers: all that `js/` and `worker/` share.
 *
 * A page sends a {@link Request} with an id and gets exactly one {@link Response} with the same id;
 * {@link Event}s come unasked. Keys, decrypted frames and passes' private keys are in none of them.
 * ArrayBuffers and streams are transferred, everything else is copied.
 */
import type {
  Command,
  CompactJws,
  CoreEvent,
  LineQuality,
  MediaKind,
  MediaSource,
  OfferedTrack,
  ParticipantId,
  PublicJwk,
  PublishedTrack,
  RecordingId,
  Role,
  TrackId,
  VisitState,
} from "./core-types.js";

export type * from "./core-types.js";

// --- Requests -----------------------------------------------------------------------------------

/** A worker's purpose. The recorder is a second instance beside the clinician's own. */
export type WorkerRole = "member" | "recorder" | "recovery";

/** Loads WebAssembly and makes, or finds again, the identity of this tab. */
export interface PrepareRequest {
  readonly r: "prepare";
  readonly role: WorkerRole;
  /** Folder of the WebAssembly modules; null: beside the worker. */
  readonly wasm_url: string | null;
  readonly relay_url: string;
  /** The `x` of the clinic's root key. */
  readonly root_key: string;
  readonly clinic_document: CompactJws;
  readonly display_name: string;
  /** 16 bytes, base64url; null: random. */
  readonly name_salt: string | null;
  /** Under which name this tab keeps its identity, so that a reload is the same participant; null: not at all. */
  readonly storage_key: string | null;
}

/** The page passes this to the issuer of passes. */
export interface Prepared {
  readonly jwk: PublicJwk;
  /** Hash that the pass must carry: the display name, salted. */
  readonly name_commitment: string;
  /** A pass kept from before a reload that is still good. */
  readonly pass: CompactJws | null;
}

/** How a sending or receiving track is named between page and worker; unique for each page. */
export type TrackKey = number;

/** Options of an `RTCRtpScriptTransform`, and of `attach_streams`. */
export type TransformOptions =
  | {
      readonly direction: "send";
      readonly key: TrackKey;
      readonly track: string;
      readonly kind: MediaKind;
      readonly source: MediaSource;
    }
  | {
      readonly direction: "receive";
      readonly key: TrackKey;
      readonly track: string;
      readonly kind: MediaKind;
      readonly participant: ParticipantId;
    };

/** Starts a part of a recording; the recorder must be in the group. */
export interface BeginPartRequest {
  readonly r: "begin_part";
  readonly vault_url: string;
  /** Null for the first part under a consent round. */
  readonly recording: RecordingId | null;
  readonly part: number;
  /** Of the mixed track. */
  readonly media_type: string;
  readonly share_required: boolean;
}

export interface PartBegun {
  readonly recording: RecordingId;
  readonly part: number;
  readonly mixed: TrackId;
  readonly events: TrackId;
  /** False: the spool is in memory, and lost with the page. */
  readonly spool_on_disk: boolean;
}

/** Codes as in the manifest. */
export type PartEndReason = "stopped" | "paused" | "withdrawn" | "removed" | "failed";

/** One line of the sealed events track, as the core's `recording` module reads it. `at_us`: since the part's start. */
export type EventLine = { readonly at_us: number } & EventBody;
export type EventBody =
  | { readonly event: "mark"; readonly text: string }
  | { readonly event: "roster"; readonly people: readonly Person[] }
  /** A participant's sound or picture did not arrive in what is sealed. */
  | { readonly event: "missing"; readonly participant: ParticipantId; readonly what: "sound" | "picture" }
  /** Too few pictures of a participant a second, because of the recorder's device or of the line. */
  | {
      readonly event: "few_pictures";
      readonly participant: ParticipantId;
      readonly pictures_per_s: number;
      readonly cause: "device" | "line";
    };

export interface Person {
  readonly participant: ParticipantId;
  readonly role: Role;
  readonly name?: string;
}

export type Request =
  | PrepareRequest
  /** Connects with this pass, and stays connected. */
  | { readonly r: "join"; readonly pass: CompactJws }
  | {
      readonly r: "command";
      readonly command: Command;
      /** When the person clicked, on the shared clock (`performance.timeOrigin` + event time), for withdrawals. */
      readonly clicked_at_ms?: number;
    }
  /** Not one more frame leaves, until `release_hold`. */
  | { readonly r: "hold"; readonly clicked_at_ms?: number }
  | { readonly r: "release_hold" }
  | { readonly r: "publish"; readonly sdp: string; readonly tracks: readonly PublishedTrack[] }
  | { readonly r: "subscribe" }
  | { readonly r: "subscribe_answer"; readonly generation: number; readonly sdp: string }
  /** Where only `createEncodedStreams` exists: both streams are transferred. */
  | {
      readonly r: "attach_streams";
      readonly options: TransformOptions;
      readonly readable: ReadableStream;
      readonly writable: WritableStream;
    }
  /** A receiver that now carries another track. */
  | { readonly r: "rebind"; readonly key: TrackKey; readonly participant: ParticipantId; readonly track: string }
  | { readonly r: "detach"; readonly key: TrackKey }
  | { readonly r: "stats" }
  | BeginPartRequest
  /** One MediaRecorder slice of the mixed track; `data` is transferred. */
  | { readonly r: "slice"; readonly data: ArrayBuffer; readonly media_end_us: number }
  | { readonly r: "event_line"; readonly line: EventLine }
  | { readonly r: "gap"; readonly from_us: number; readonly to_us: number; readonly reason: string }
  /** Seals the end of the running part. No slice may follow. */
  | { readonly r: "end_part"; readonly reason: PartEndReason }
  /** Resolves once the receipt of this part has been verified, or the part is uploaded to a server without receipts. */
  | { readonly r: "await_upload"; readonly recording: RecordingId; readonly part: number }
  /** Lets go of a spool that was uploaded but never confirmed. */
  | { readonly r: "release"; readonly recording: RecordingId; readonly part: number }
  /** Live media goes first: while `yields`, the upload sends little at a time, with pauses. */
  | { readonly r: "yield_upload"; readonly yields: boolean }
  /** Answers a `capability_needed` event. */
  | {
      readonly r: "capability";
      readonly recording: RecordingId;
      readonly part: number;
      readonly capability: string | null;
    }
  /** Ahead of `prepare`, so that it need not wait for WebAssembly. */
  | { readonly r: "load"; readonly wasm_url: string | null }
  /** Finishes uploads that an earlier page left behind. */
  | {
      readonly r: "recover";
      readonly wasm_url: string | null;
      readonly root_key: string | null;
      readonly clinic_document: CompactJws | null;
      /** Signed by the root key. */
      readonly wipe_orders: readonly CompactJws[];
      /** Also lets go of what a server without receipts has taken. */
      readonly release_unconfirmed: boolean;
    }
  /** Destroys keys and ends; the answer is the last message. */
  | { readonly r: "close" };

/** What a request resolves to. */
export interface Results {
  load: null;
  prepare: Prepared;
  join: null;
  command: unknown;
  hold: null;
  release_hold: null;
  publish: null;
  subscribe: null;
  subscribe_answer: null;
  attach_streams: null;
  rebind: null;
  detach: null;
  stats: WorkerStats;
  begin_part: PartBegun;
  slice: null;
  event_line: null;
  gap: null;
  end_part: null;
  await_upload: SpoolStatus;
  release: null;
  yield_upload: null;
  capability: null;
  recover: readonly SpoolStatus[];
  close: null;
}

export type RequestName = Request["r"];
export type RequestOf<Name extends RequestName> = Extract<Request, { readonly r: Name }>;

export interface Envelope {
  readonly id: number;
  readonly request: Request;
}

// --- Responses ----------------------------------------------------------------------------------

/** An error as it crosses the boundary; `js/errors.ts` makes a class of it. */
export interface Failure {
  readonly code: string;
  /** For people who debug; never a key, media, or a name. */
  readonly message: string;
  readonly detail?: unknown;
}

export type Response =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: Failure };

// --- Events -------------------------------------------------------------------------------------

/** Why frames were dropped. The engine's reasons, and the worker's own. */
export type DropReason = string;

/** Counts of one track since it was opened. */
export interface TrackCounts {
  readonly key: TrackKey;
  readonly direction: "send" | "receive";
  readonly track: string;
  readonly kind: MediaKind;
  readonly participant: ParticipantId | null;
  readonly encrypted: number;
  readonly decrypted: number;
  /** Frames that waited for the key of a next epoch. */
  readonly waited: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
}

export interface WorkerStats {
  readonly tracks: readonly TrackCounts[];
  /** Closed tracks included. */
  readonly encrypted: number;
  readonly decrypted: number;
  readonly dropped: number;
  readonly encrypted_per_epoch: Readonly<Record<string, number>>;
  readonly sending_epoch: number | null;
  readonly key_frame_requests: number;
}

/** How safe a part of a recording is: sealed on this device, uploaded, confirmed by a signed receipt. */
/** `wiped`: let go of at the clinic's order, or because the vault has deleted the recording. */
export type SpoolState = "sealed" | "uploaded" | "safe" | "wiped";

export interface SpoolStatus {
  readonly recording: RecordingId;
  readonly part: number;
  readonly state: SpoolState;
  /** Bytes on this device, and of those, bytes that the vault has acknowledged. */
  readonly sealed_bytes: number;
  readonly uploaded_bytes: number;
  readonly segments: number;
  /** Microseconds of media that are sealed. */
  readonly sealed_media_us: number;
  /** Whether the part has a manifest; without one the vault closes it as unfinished. */
  readonly finished: boolean;
  readonly on_disk: boolean;
  /** When the spool was made. */
  readonly created_ms: number;
  /** Why the upload waits, if it does. */
  readonly waiting?: UploadWait;
}

export interface UploadWait {
  /**
   * `method_refused`: something between page and vault takes no such HTTP method, also not by `X-HTTP-Method-Override`.
   * `too_large`: it takes no body of even the smallest size. `redirected`: the vault's URL leads elsewhere.
   */
  readonly why:
    | "offline"
    | "server_error"
    | "locked"
    | "stalled"
    | "capability"
    | "refused"
    | "method_refused"
    | "too_large"
    | "redirected";
  readonly http_status?: number;
  /** For `method_refused`. */
  readonly method?: string;
  readonly retry_in_ms?: number;
}

/** What a click that stops sending did. */
export interface StopMeasured {
  /** From the click until the worker's gate was shut. */
  readonly gate_ms: number;
  /** From the click until the last frame left; null when none left after the click. */
  readonly last_frame_ms: number | null;
  /** Frames that left between the click and the gate: captured before the click, and still under way. */
  readonly frames_in_flight: number;
  /** Frames encrypted after the gate under a key that the recorder has. */
  readonly frames_after: number;
}

export type Event =
  | { readonly e: "state"; readonly state: VisitState }
  | { readonly e: "core"; readonly event: CoreEvent }
  | { readonly e: "message"; readonly from: ParticipantId; readonly data: Uint8Array }
  | { readonly e: "relay"; readonly status: "connected" }
  | { readonly e: "relay"; readonly status: "lost"; readonly retry_in_ms: number }
  /** The relay will not have this participant (any more); no further attempt is made. */
  | { readonly e: "relay_refused"; readonly error: Failure }
  /** Sending is stopped or goes on; `closed_at_ms` is on the shared clock. */
  | { readonly e: "gate"; readonly open: boolean; readonly reason?: string; readonly closed_at_ms?: number }
  /** This member's answer, signed; for a grant with withdrawals signed ahead: with the wish to delete, and to keep. */
  | { readonly e: "signed"; readonly statement: CompactJws; readonly withdrawals: readonly CompactJws[] }
  /** This member's own withdrawal, signed: the page hands it to the vault. */
  | { readonly e: "withdrawal"; readonly statement: CompactJws }
  | ({ readonly e: "withdrawal_measured" } & StopMeasured)
  | { readonly e: "publish_answer"; readonly sdp: string }
  | {
      readonly e: "subscribe_offer";
      readonly generation: number;
      readonly sdp: string;
      readonly tracks: readonly OfferedTrack[];
    }
  /** The relay cannot serve a description (`media`), or refuses something, perhaps a description, for now. */
  | { readonly e: "media_refused"; readonly code: "media" | "not_allowed"; readonly error: Failure }
  | ({ readonly e: "line_quality" } & LineQuality)
  /** The first frame that reached the transform, and the first that passed it. */
  | { readonly e: "first_frame"; readonly key: TrackKey; readonly stage: "seen" | "passed"; readonly at_ms: number }
  /** At most once a second for each track. */
  | {
      readonly e: "frames_dropped";
      readonly key: TrackKey;
      readonly direction: "send" | "receive";
      readonly track: string;
      readonly participant: ParticipantId | null;
      readonly reason: DropReason;
      readonly count: number;
    }
  /** A live track cannot be protected. */
  | { readonly e: "track_failed"; readonly key: TrackKey; readonly error: Failure }
  /** An upload stopped, or the answer was not signed by the clinic. Sealed bytes stay. */
  | { readonly e: "upload_problem"; readonly error: Failure }
  | { readonly e: "spool"; readonly status: SpoolStatus }
  | { readonly e: "spool_warning"; readonly warning: SpoolWarning }
  /** The vault answered 401 or 403: the page asks the host's sign-in for a new capability. */
  | { readonly e: "capability_needed"; readonly recording: RecordingId; readonly part: number }
  | { readonly e: "receipt"; readonly recording: RecordingId; readonly part: number; readonly receipt: CompactJws }
  /** The part cannot continue; sealed bytes stay. */
  | { readonly e: "part_failed"; readonly error: Failure }
  /** A WebAssembly panic or a broken worker: nothing is sent or decrypted anymore. */
  | { readonly e: "fatal"; readonly error: Failure };

export type SpoolWarning =
  | { readonly kind: "in_memory"; readonly limit_bytes: number }
  | { readonly kind: "storage_low"; readonly free_bytes: number }
  | { readonly kind: "storage_full" }
  | { readonly kind: "old_spool"; readonly age_days: number };

export type EventName = Event["e"];

/** What a worker posts. */
export type FromWorker = Response | Event;
