/**
 * What the visit core (Rust, WebAssembly module `visit`) takes and gives, in TypeScript.
 *
 * Field names are the core's own (snake_case), because the same values travel through the core, the
 * worker and the page unchanged. Ids and hashes are unpadded base64url; times are milliseconds since
 * the Unix epoch. Nothing here holds a key, except {@link Output} `install_epoch`, which never
 * leaves the worker.
 */

/** Opaque: 16 random bytes as 22 characters of base64url. */
export type ParticipantId = string;
export type VisitId = string;
export type RoundId = string;
export type RecordingId = string;
export type TrackId = string;
/** SHA-256, base64url. */
export type Hash = string;
/** A compact JWS (RFC 7515). */
export type CompactJws = string;

/** What a participant is in a visit; fixed by its pass. */
export type Role = "clinician" | "patient" | "guest" | "representative" | "interpreter" | "recorder" | "server";

/** An Ed25519 public key as a JWK (RFC 8037). */
export interface PublicJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
}

// --- Consent ------------------------------------------------------------------------------------

export type Purpose =
  | "medical_record"
  | "supervision"
  | "quality_review"
  | "ai_note"
  | "dispute"
  | "research"
  | "other";

/** What is decided separately: use of the health information, and being recorded at all. */
export type Layer = "information" | "recording";

/** A recipient of the recording, as the clinic document lists it. */
export interface RecipientRef {
  readonly fingerprint: Hash;
  readonly role: string;
}

/** A text to be shown. Its SHA-256 stands in the signed request. */
export interface ConsentTextInput {
  readonly layer: Layer;
  /** BCP 47. */
  readonly language: string;
  readonly version: string;
  readonly text: string;
}

/** A text as a participant sees it; `text` is null until it has arrived and its hash was checked. */
export interface ConsentText {
  readonly layer: Layer;
  readonly language: string;
  readonly version: string;
  readonly hash: Hash;
  readonly text?: string | null;
}

/** What everybody agrees to besides purpose and recipients. */
export interface Terms {
  /** Days from the end of the recording until it is deleted. */
  readonly retention_days: number;
  readonly on_withdrawal: "keep" | "delete" | "ask";
  readonly processor_retention_days?: number;
  readonly part2?: boolean;
  readonly authorization_expires_ms?: number;
}

/** One ticked precondition of the host's. */
export interface Tick {
  readonly what: "identity_verified" | "emergency_place_known" | "private_setting";
  readonly at_ms: number;
}

export type OnBehalfOf =
  | { readonly kind: "myself" }
  | {
      readonly kind: "represented";
      readonly whom?: ParticipantId;
      readonly capacity: string;
      readonly basis: string;
    };

/** One person's decision at this device. */
export interface PersonAnswer {
  /** `self`, or an opaque label of another person at this device. */
  readonly person: string;
  readonly on_behalf_of: OnBehalfOf;
  readonly information: boolean;
  readonly recording: boolean;
}

export type Answered = "grant" | "refusal" | "withdrawal";

/** The host's signed word that somebody is where it said. */
export interface ConfirmedPlace {
  readonly round: RoundId;
  readonly participant: ParticipantId;
  readonly place: CompactJws;
}

/** What one participant answered, and where it said to be. */
export interface ParticipantAnswer {
  readonly participant: ParticipantId;
  readonly answer: Answered;
  /** ISO 3166 code such as `US-CA`; empty when none was stated. */
  readonly place: string;
  /** By the host, as evidence. */
  readonly place_confirmed: boolean;
}

/** The open consent round. Somebody who is asked while waiting does not learn who else was asked, or how they answered. */
export interface ConsentState {
  readonly round: RoundId;
  readonly purpose: Purpose;
  readonly host: ParticipantId;
  /** Null until the host has told it. */
  readonly host_name?: string | null;
  readonly recorder: ParticipantId;
  readonly recipients: readonly RecipientRef[];
  readonly terms: Terms;
  readonly texts: readonly ConsentText[];
  readonly my_answer?: Answered | null;
  readonly all_agreed: boolean;
  readonly someone_refused: boolean;
  readonly answered: number;
  readonly asked: number;
  /** Filled for the host only. */
  readonly by_participant: readonly ParticipantAnswer[];
  readonly asked_again: boolean;
  /** The call-back number that the host noted for an emergency. Filled for clinicians only; empty when none was noted. */
  readonly emergency: string;
  /**
   * Who agreed in a language that the texts are not in, and for whom no interpreter of the roster has signed yet: until
   * then not everybody has agreed. Filled for interpreters and the host.
   */
  readonly interpreter_needed: readonly ParticipantId[];
  /** The reason, or the purpose in words when it is `other`; empty when none was given. */
  readonly note: string;
}

// --- State --------------------------------------------------------------------------------------

export interface RosterEntry {
  readonly participant: ParticipantId;
  readonly role: Role;
  /** Null until its owner has opened the commitment inside the group. */
  readonly name?: string | null;
  readonly leaf: number;
  readonly connected: boolean;
  readonly is_me: boolean;
}

/** Somebody who asks to be let in. */
export interface WaitingEntry {
  readonly participant: ParticipantId;
  readonly role: Role;
  /** The host asked this person for consent while it waits. */
  readonly asked?: boolean;
  readonly answer?: Answered | null;
}

/** Whether a recorder can see this visit; computed from the group's roster alone. */
export type Indicator =
  | { readonly kind: "not_recorded" }
  | { readonly kind: "recording"; readonly purpose: Purpose; readonly since_ms: number }
  | { readonly kind: "recorder_present"; readonly purpose?: Purpose | null }
  | { readonly kind: "paused"; readonly purpose: Purpose; readonly by_me: boolean }
  | { readonly kind: "stopped_by_you" }
  | { readonly kind: "stopped" };

export type Phase = "connecting" | "waiting" | "live" | "rekeying" | "ended";
/**
 * `time_over`: the visit's time is over, the last pass has expired; `empty`: nobody was connected for long; `replaced`: the
 * same participant joined from another page.
 */
export type EndReason = "left" | "ended_by_host" | "time_over" | "empty" | "removed" | "failed" | "denied" | "replaced";
/**
 * `withdrawn`: a withdrawal is known, and the recorder is still in the group; or the person withdrew while rejoining, and
 * sending resumes once the member is live without the recorder.
 */
export type ClosedReason = "not_live" | "withdrawn" | "refused_commit";

export interface Problem {
  readonly code: ProblemCode;
  readonly at_ms: number;
  readonly participant?: ParticipantId | null;
}

/** `commit_refused`: a commit broke a rule of the group; `ghost_refused`: somebody without a valid pass; `key_swapped`: a key that the clinic's document does not list; ... */
export type ProblemCode =
  | "commit_refused"
  | "ghost_refused"
  | "welcome_refused"
  | "key_swapped"
  | "message_refused"
  | "relay_unreachable"
  | "messages_missing"
  | "commit_withheld"
  | "recorder_silent";

/** The whole of what a page shows; replaced as one when anything changes. */
export interface VisitState {
  readonly phase: Phase;
  readonly end_reason?: EndReason | null;
  /** The end is this member's own decision, its clock's or the members' word, and not a server's alone: credentials are needed no more. */
  readonly end_is_final?: boolean;
  readonly visit: VisitId;
  readonly me: {
    readonly participant: ParticipantId;
    readonly role: Role;
    readonly name: string;
    /** Whether this participant is the host now; one clinician is, at any time. */
    readonly host: boolean;
  };
  readonly clinic: { readonly name: string; readonly contact: string };
  readonly epoch?: number | null;
  /** The host as the group holds it; while that one is away, who commits in its place. */
  readonly host?: ParticipantId | null;
  /** Nobody joins who was never in. */
  readonly locked: boolean;
  /** The recorder is listed as its own participant. */
  readonly roster: readonly RosterEntry[];
  /** Who asks to be let in; for the host. */
  readonly waiting: readonly WaitingEntry[];
  readonly label: { readonly kind: "end_to_end" } | { readonly kind: "server_present" };
  /** At least 20 digits in groups of five, for comparison aloud. */
  readonly safety_code?: string | null;
  readonly verified: boolean;
  readonly indicator: Indicator;
  readonly consent?: ConsentState | null;
  readonly sending: { readonly open: boolean; readonly reason?: ClosedReason | null };
  readonly problems: readonly Problem[];
}

/** Why a recorder is no longer in the group. */
export type RecorderLeft = "paused" | "stopped" | "withdrawn" | "removed";

/** Things that happen once. */
export type CoreEvent =
  /** The group's keys are confirmed; media may flow. */
  | { readonly e: "live" }
  | { readonly e: "joined"; readonly participant: ParticipantId }
  | { readonly e: "left"; readonly participant: ParticipantId }
  | { readonly e: "admission_requested"; readonly participant: ParticipantId; readonly role: Role }
  | { readonly e: "consent_requested"; readonly round: RoundId }
  | { readonly e: "consent_answered" }
  | { readonly e: "recorder_joined" }
  | { readonly e: "recorder_left"; readonly why: RecorderLeft }
  /** Recording goes on in so many milliseconds unless somebody objects. */
  | { readonly e: "resuming"; readonly in_ms: number }
  | { readonly e: "withdrawn"; readonly participant: ParticipantId }
  | { readonly e: "commit_refused"; readonly offender?: ParticipantId | null; readonly code: string }
  /** This member lost its place and asks to come back. */
  | { readonly e: "rejoining" }
  | { readonly e: "ended"; readonly reason: EndReason };

// --- Commands -----------------------------------------------------------------------------------

export interface ConsentRequestInput {
  readonly purpose: Purpose;
  readonly recipients: readonly RecipientRef[];
  readonly texts: readonly ConsentTextInput[];
  readonly terms: Terms;
  readonly checklist: readonly Tick[];
  readonly recorder: ParticipantId;
  readonly again_after?: RoundId;
  /** Reason, or the purpose in words when it is `other`. Stays inside the encryption. */
  readonly note?: string;
  /** Call-back number for an emergency, for clinicians of this visit only. Stays inside the encryption. */
  readonly emergency?: string;
}

export interface AnswerInput {
  readonly answers: readonly PersonAnswer[];
  /** BCP 47 tag of the language in which the texts were shown. */
  readonly language: string;
  /** ISO 3166 code such as `US-CA`; empty when none was stated. */
  readonly place: string;
  /**
   * BCP 47 tag of the person's language, when the texts are not in it: the grant then counts with that of an interpreter
   * who interpreted the words for this person. Empty otherwise.
   */
  readonly spoken?: string;
  /** An interpreter's: for whom it interpreted the words. */
  readonly interpreted_for?: readonly ParticipantId[];
}

/** What the recorder asks the core to sign before the first byte. */
export interface OpenInput {
  readonly recording: RecordingId;
  readonly part: number;
  readonly recording_key: PublicJwk;
  readonly tracks: readonly { readonly track: TrackId; readonly header: string }[];
  readonly previous?: { readonly part: number; readonly heads: readonly (readonly [TrackId, Hash])[] };
}

export type Command =
  | { readonly c: "admit"; readonly participant: ParticipantId }
  | { readonly c: "ask_waiting"; readonly participant: ParticipantId }
  | { readonly c: "pause_and_admit"; readonly participant: ParticipantId }
  | { readonly c: "deny"; readonly participant: ParticipantId }
  | { readonly c: "remove"; readonly participant: ParticipantId }
  | { readonly c: "lock"; readonly locked: boolean }
  | { readonly c: "hand_over"; readonly participant: ParticipantId }
  | { readonly c: "confirm_place"; readonly participant: ParticipantId }
  | ({ readonly c: "request_consent" } & ConsentRequestInput)
  | ({ readonly c: "answer"; readonly kind: "grant" | "refusal" } & AnswerInput)
  | { readonly c: "withdraw"; readonly wish?: "keep" | "delete" }
  | { readonly c: "start_recorder" }
  | { readonly c: "pause" }
  | { readonly c: "agree_resume" }
  | { readonly c: "stop_recording" }
  | { readonly c: "send"; readonly data: Uint8Array }
  | { readonly c: "leave" }
  | { readonly c: "end" }
  | { readonly c: "mark_verified" }
  | { readonly c: "sign_open"; readonly open: OpenInput }
  | {
      readonly c: "heartbeat";
      readonly part: number;
      readonly segments: number;
      readonly sealed_media_us: number;
    };

// --- The core itself ----------------------------------------------------------------------------

export interface CoreConfig {
  /** The clinic's pinned root key: the `x` of its JWK. */
  readonly root_key: string;
  readonly clinic_document: CompactJws;
  readonly pass: CompactJws;
  /** 32 bytes; copied. */
  readonly seed: Uint8Array;
  readonly display_name: string;
  /** 16 bytes, base64url. */
  readonly name_salt: string;
  /** 32 random bytes, fresh for every run. */
  readonly entropy: Uint8Array;
  /** What earlier runs of this participant handed out to be kept, the latest last. */
  readonly memories: readonly VisitMemory[];
}

/** What the core must remember of the visit, beside the pass key: JSON whose numbers JavaScript could not all hold. Only the core looks inside. */
export type VisitMemory = string;

export type Input =
  | { readonly t: "relay"; readonly message: WireMessage }
  | { readonly t: "relay_closed" }
  | { readonly t: "tick" }
  | { readonly t: "command"; readonly id: number; readonly command: Command };

export interface EpochLeaf {
  readonly leaf: number;
  readonly participant: ParticipantId;
}

export type Output =
  | { readonly t: "send"; readonly message: WireMessage }
  | { readonly t: "state"; readonly state: VisitState }
  /** The relay left something out: close the connection, and make a new one. */
  | { readonly t: "reconnect" }
  | { readonly t: "event"; readonly event: CoreEvent }
  | {
      readonly t: "install_epoch";
      readonly epoch: number;
      readonly base_key: Uint8Array;
      readonly own_leaf: number;
      readonly leaves: readonly EpochLeaf[];
    }
  | { readonly t: "use_epoch"; readonly epoch: number }
  | { readonly t: "retire_epoch"; readonly epoch: number; readonly at_ms: number }
  /** Forget at once what this leaf sent with, up to this epoch: its member was removed. */
  | { readonly t: "drop_leaf"; readonly epoch: number; readonly leaf: number }
  /** Forget every key: this member is in no group any more. */
  | { readonly t: "clear_keys" }
  | { readonly t: "gate"; readonly open: boolean }
  | { readonly t: "timer"; readonly at_ms: number }
  | { readonly t: "done"; readonly id: number; readonly result?: string | null }
  | { readonly t: "failed"; readonly id: number; readonly error: CoreFailure }
  /** Keep this in the same record as the pass key before anything that follows is sent. */
  | { readonly t: "remember"; readonly memory: VisitMemory }
  /** The visit is over by this member's click, its clock or the members' word: delete pass key and memory. */
  | { readonly t: "forget" }
  /** This member's answer, and for a grant the withdrawals that were signed ahead. */
  | { readonly t: "signed"; readonly statement: CompactJws; readonly withdrawals: readonly CompactJws[] }
  /** A withdrawal from the open round, signed; `mine`: of this member. */
  | { readonly t: "withdrawal"; readonly statement: CompactJws; readonly mine: boolean }
  /** The host's signed confirmation of the place that somebody stated. */
  | ({ readonly t: "place" } & ConfirmedPlace)
  | { readonly t: "message"; readonly from: ParticipantId; readonly data: Uint8Array };

export interface CoreFailure {
  readonly code: string;
  readonly message: string;
  readonly detail?: unknown;
}

/** The state machine, as visit-core.ts shows it. A panic inside ends the instance. */
export interface VisitCore {
  handle(input: Input, now_ms: number): Output[];
  free(): void;
}

export interface GeneratedIdentity {
  readonly seed: Uint8Array;
  readonly jwk: PublicJwk;
}

// --- Relay messages that the worker itself deals with ---------------------------------------------

export type MediaKind = "audio" | "video";
export type MediaSource = "microphone" | "camera" | "screen";

export interface PublishedTrack {
  readonly mid: string;
  readonly track: string;
  readonly kind: MediaKind;
  readonly source: MediaSource;
}

export interface OfferedTrack extends PublishedTrack {
  readonly participant: ParticipantId;
}

/** Sent by the worker itself; all others come ready from the core. */
export type MediaClientMessage =
  | { readonly t: "publish_offer"; readonly sdp: string; readonly tracks: readonly PublishedTrack[] }
  | { readonly t: "subscribe" }
  | { readonly t: "subscribe_answer"; readonly generation: number; readonly sdp: string }
  | { readonly t: "ping" };

/** A message as JSON, made by the core or the relay; the worker looks at `t` and passes it on. */
export interface WireMessage {
  readonly t: string;
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly [field: string]: unknown;
}

export interface LineQuality {
  /** The relay's estimate towards this participant, bits per second. */
  readonly down_bps: number;
  readonly loss_percent: number;
  /** What the line does to the others' pictures. */
  readonly picture: "full" | "lowered" | "withheld";
  /** Whose slow lines have this participant's picture sent smaller. */
  readonly slow_for: readonly ParticipantId[];
  /** What the relay asked this participant to send at most, bits per second; null when nobody watches it. */
  readonly up_limit_bps: number | null;
}

/** Dealt with by the worker; all others go to the core. */
export type MediaRelayMessage =
  | { readonly t: "publish_answer"; readonly sdp: string }
  | {
      readonly t: "subscribe_offer";
      readonly generation: number;
      readonly sdp: string;
      readonly tracks: readonly OfferedTrack[];
    }
  | ({ readonly t: "line_quality" } & LineQuality);

export type RelayErrorCode =
  | "not_admitted"
  | "replaced_by_another"
  | "not_allowed"
  | "malformed"
  | "too_much"
  | "media"
  | "visit_over";
