// Generated from the Rust sources by `npm run types`: change those, and run it again.

/** One person's decision on the two layers. A device may stand for several people. */
export type Answer = {
  /** `self`, or an opaque label for another person at this device. */
  readonly person: string;
  readonly on_behalf_of: OnBehalfOf;
  /** Agreed to the use of the health information. */
  readonly information: boolean;
  /** Agreed to being recorded. */
  readonly recording: boolean;
};

export type AnswerOf = {
  readonly participant: ParticipantId;
  readonly answer: StatementKind;
  /** The place stated. */
  readonly place: string;
  /** The host confirmed exactly this place. */
  readonly place_confirmed: boolean;
};

/** Bytes as unpadded base64url (RFC 4648). */
export type Base64Url = string;

/** From a participant to the relay. */
export type ClientMessage =
  | {
      readonly t: "hello";
      readonly v: number;
      readonly pass: CompactJws;
      readonly proof: CompactJws;
      readonly after_seq?: number | null;
    }
  | { readonly t: "key_package"; readonly key_package: Base64Url }
  | { readonly t: "create_group"; readonly group_id: Base64Url; readonly replaces?: Base64Url | null }
  | {
      readonly t: "commit";
      readonly group_id: Base64Url;
      readonly epoch: number;
      readonly commit: Base64Url;
      readonly welcomes: ReadonlyArray<WelcomeFor>;
      /** Whom the commit removes, by the committer's word: the relay cannot read it. It stops serving them. */
      readonly removed?: ReadonlyArray<ParticipantId>;
    }
  | { readonly t: "app"; readonly group_id: Base64Url; readonly epoch: number; readonly data: Base64Url }
  | { readonly t: "direct"; readonly to: ParticipantId; readonly data: Base64Url }
  | { readonly t: "refusal"; readonly refusal: CompactJws }
  | { readonly t: "publish_offer"; readonly sdp: string; readonly tracks: ReadonlyArray<PublishedTrack> }
  | { readonly t: "subscribe" }
  | { readonly t: "subscribe_answer"; readonly generation: number; readonly sdp: string }
  | { readonly t: "leave" }
  | { readonly t: "end" }
  | { readonly t: "ping" };

export type ClinicView = { readonly name: string; readonly contact: string };

/** A command. Tagged by `c` in its serialised form. */
export type Command =
  | { readonly c: "admit"; readonly participant: ParticipantId }
  | { readonly c: "ask_waiting"; readonly participant: ParticipantId }
  | { readonly c: "pause_and_admit"; readonly participant: ParticipantId }
  | { readonly c: "deny"; readonly participant: ParticipantId }
  | { readonly c: "remove"; readonly participant: ParticipantId }
  | ({ readonly c: "request_consent" } & ConsentRequest)
  | { readonly c: "lock"; readonly locked: boolean }
  | { readonly c: "hand_over"; readonly participant: ParticipantId }
  | { readonly c: "confirm_place"; readonly participant: ParticipantId }
  | ({ readonly c: "answer" } & GivenAnswer)
  | { readonly c: "withdraw"; readonly wish?: WithdrawalWish | null }
  | { readonly c: "start_recorder" }
  | { readonly c: "pause" }
  | { readonly c: "agree_resume" }
  | { readonly c: "stop_recording" }
  | { readonly c: "send"; readonly data: Base64Url }
  | { readonly c: "mark_verified" }
  | { readonly c: "leave" }
  | { readonly c: "end" }
  | { readonly c: "sign_open"; readonly open: OpenPart }
  | { readonly c: "heartbeat"; readonly part: number; readonly segments: number; readonly sealed_media_us: number };

/** Why a command failed: a stable code, and words for a developer. */
export type CommandError = { readonly code: ErrorCode; readonly message: string };

/** A compact JWS (RFC 7515). */
export type CompactJws = string;

/** What the host asks for. */
export type ConsentRequest = {
  readonly purpose: Purpose;
  readonly recipients: ReadonlyArray<RecipientRef>;
  readonly texts: ReadonlyArray<TextBody>;
  readonly terms: Terms;
  readonly checklist: ReadonlyArray<Tick>;
  readonly recorder: ParticipantId;
  readonly again_after?: RoundId;
  /** Reason, or the purpose in words when it is `other`. Stays inside the encryption. */
  readonly note?: string;
  /** Number to call back in an emergency. Stays inside the encryption. */
  readonly emergency?: string;
};

/** The open consent round. */
export type ConsentView = {
  readonly round: RoundId;
  readonly purpose: Purpose;
  readonly host: ParticipantId;
  readonly host_name: string | null;
  readonly recorder: ParticipantId;
  readonly recipients: ReadonlyArray<RecipientRef>;
  readonly terms: Terms;
  readonly texts: ReadonlyArray<TextView>;
  readonly note: string;
  /** Number to call back in an emergency; for clinicians only. */
  readonly emergency: string;
  /**
   * Who agreed to words in another language than the own, and for whom no interpreter has signed yet. For the host and
   * for interpreters only.
   */
  readonly interpreter_needed: ReadonlyArray<ParticipantId>;
  readonly my_answer: StatementKind | null;
  readonly all_agreed: boolean;
  readonly someone_refused: boolean;
  readonly answered: number;
  readonly asked: number;
  /** For the host only: who answered what. */
  readonly by_participant: ReadonlyArray<AnswerOf>;
  readonly asked_again: boolean;
};

export type EndReason = "left" | "ended_by_host" | "time_over" | "empty" | "removed" | "denied" | "replaced" | "failed";

/** What ended a visit. */
export type EndedBy = "host" | "time" | "empty";

/** Codes of failed commands. */
export type ErrorCode =
  | "not_live"
  | "not_the_host"
  | "not_the_recorder"
  | "unknown_participant"
  | "no_round"
  | "not_agreed"
  | "recorder_not_ready"
  | "recording_in_progress"
  | "pauser_must_agree"
  | "refused"
  | "bad_answer"
  | "bad_request"
  | "locked"
  | "interrupted";

/** A person's answer to the open request. */
export type GivenAnswer = {
  readonly kind: StatementKind;
  readonly answers: ReadonlyArray<Answer>;
  /** Of the texts that were shown. */
  readonly language: string;
  /** The person's own language, where no text is in it. */
  readonly spoken?: string;
  /** Interpreter: for whom it put the words into their language. */
  readonly interpreted_for?: ReadonlyArray<ParticipantId>;
  readonly place: string;
};

export type GroupInfo = {
  readonly group_id: Base64Url;
  readonly epoch: number;
  /** Counts from 0; grows when a group is left for a new one. */
  readonly generation: number;
};

/** SHA-256, base64url. */
export type Hash = string;

/** The recording indicator. A recorder in the roster is never shown as absent. */
export type Indicator =
  | { readonly kind: "not_recorded" }
  | { readonly kind: "recording"; readonly purpose: Purpose; readonly since_ms: number }
  | { readonly kind: "recorder_present"; readonly purpose: Purpose | null }
  | { readonly kind: "paused"; readonly purpose: Purpose; readonly by_me: boolean }
  | { readonly kind: "stopped_by_you" }
  | { readonly kind: "stopped" };

/** One input. Tagged by `t` in its serialised form. */
export type Input =
  | { readonly t: "relay"; readonly message: RelayMessage }
  | { readonly t: "relay_closed" }
  | { readonly t: "tick" }
  | { readonly t: "command"; readonly id: number; readonly command: Command };

/** Who can see and hear this, from the roster alone. */
export type Label = { readonly kind: "end_to_end" } | { readonly kind: "server_present" };

/** The two things that are decided separately. */
export type Layer = "information" | "recording";

/** A leaf and who sits there. */
export type LeafOf = { readonly leaf: number; readonly participant: ParticipantId };

export type Me = {
  readonly participant: ParticipantId;
  readonly role: Role;
  readonly name: string;
  /** This member is the host now. */
  readonly host: boolean;
};

export type MediaKind = "audio" | "video";

/** What a track shows. */
export type MediaSource = "microphone" | "camera" | "screen";

export type Member = {
  readonly participant: ParticipantId;
  readonly role: Role;
  /** Opened from the pass's commitment; none until the member told it. */
  readonly name: string | null;
  readonly leaf: number;
  readonly connected: boolean;
  readonly is_me: boolean;
};

export type NotSending = "not_live" | "withdrawn" | "refused_commit";

/** A track as the relay offers it. */
export type OfferedTrack = {
  /** The media section of the relay's offer. */
  readonly mid: string;
  readonly participant: ParticipantId;
  readonly track: string;
  readonly kind: MediaKind;
  readonly source: MediaSource;
};

/** For whom an answer is given. */
export type OnBehalfOf =
  | { readonly kind: "myself" }
  | {
      readonly kind: "represented";
      readonly whom?: ParticipantId | null;
      readonly capacity: string;
      readonly basis: string;
    };

/** What the recording module knows of a part; the rest of the open statement comes from the group. */
export type OpenPart = {
  readonly recording: RecordingId;
  readonly part: number;
  readonly recording_key: PublicJwk;
  readonly tracks: ReadonlyArray<OpenTrack>;
  readonly previous?: PreviousPart;
};

/** A track that will be recorded: its header, whole. */
export type OpenTrack = {
  readonly track: TrackId;
  /** The exact bytes of the track's header ([`Header`]). */
  readonly header: Base64Url;
};

/** One output, to be carried out in order. Tagged by `t` in its serialised form. */
export type Output =
  | { readonly t: "send"; readonly message: ClientMessage }
  | { readonly t: "reconnect" }
  | { readonly t: "state"; readonly state: VisitState }
  | { readonly t: "event"; readonly event: VisitEvent }
  | {
      readonly t: "install_epoch";
      readonly epoch: number;
      readonly own_leaf: number;
      readonly leaves: ReadonlyArray<LeafOf>;
    }
  | { readonly t: "use_epoch"; readonly epoch: number }
  | { readonly t: "retire_epoch"; readonly epoch: number; readonly at_ms: number }
  | { readonly t: "drop_leaf"; readonly epoch: number; readonly leaf: number }
  | { readonly t: "clear_keys" }
  | { readonly t: "gate"; readonly open: boolean }
  | { readonly t: "timer"; readonly at_ms: number }
  | { readonly t: "done"; readonly id: number; readonly result?: string | null }
  | { readonly t: "failed"; readonly id: number; readonly error: CommandError }
  | { readonly t: "remember"; readonly memory: string }
  | { readonly t: "forget" }
  | {
      readonly t: "signed";
      readonly statement: CompactJws;
      /**
       * For a grant: withdrawals from it, signed ahead, with the wish to delete and with the wish to keep. Whoever has
       * one can withdraw after the visit, when the pass key is gone.
       */
      readonly withdrawals: ReadonlyArray<CompactJws>;
    }
  | {
      readonly t: "withdrawal";
      readonly statement: CompactJws;
      /** This member's own. */
      readonly mine: boolean;
    }
  | { readonly t: "place"; readonly round: RoundId; readonly participant: ParticipantId; readonly place: CompactJws }
  | { readonly t: "message"; readonly from: ParticipantId; readonly data: Base64Url };

/** One participant of a visit, kept across reloads: 16 random bytes, base64url. */
export type ParticipantId = string;

export type Phase = "connecting" | "waiting" | "live" | "rekeying" | "ended";

/** What a slow line towards a participant does to the pictures of the others. Sound goes on in any case. */
export type PictureOnLine = "full" | "lowered" | "withheld";

/** The part before, and the last checkpoint that the recorder knows of it. */
export type PreviousPart = {
  readonly part: number;
  /** Chain head of each track, as far as known. */
  readonly heads: ReadonlyArray<readonly [TrackId, Hash]>;
};

/** Something a person should know about, in a code that pages turn into words. */
export type Problem = {
  readonly code: ProblemCode;
  readonly at_ms: number;
  readonly participant: ParticipantId | null;
};

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

/** An Ed25519 public key as a JWK (RFC 8037). */
export type PublicJwk = { readonly kty: "OKP"; readonly crv: "Ed25519"; readonly x: string };

/** A track as its sender announces it. */
export type PublishedTrack = {
  /** The media section of the offer. */
  readonly mid: string;
  /** Chosen by the sender, unique among its tracks; also in every frame's authenticated trailer. */
  readonly track: string;
  readonly kind: MediaKind;
  readonly source: MediaSource;
};

/** Why a visit is recorded. Free text for `Other` stays inside the encryption. */
export type Purpose =
  | "medical_record"
  | "supervision"
  | "quality_review"
  | "ai_note"
  | "dispute"
  | "research"
  | "other";

/** A recipient as requests, grants and statements name it. */
export type RecipientRef = { readonly fingerprint: Hash; readonly role: RecipientRole };

/** What a recipient of recordings is for. */
export type RecipientRole =
  | "responsible_clinician"
  | "archive"
  | "supervisor"
  | "quality_reviewer"
  | "ai_processor"
  | "legal"
  | "researcher";

/** Why a recorder is no longer in the group. */
export type RecorderLeft = "paused" | "stopped" | "withdrawn" | "removed";

/** One recording, of all parts under one consent round: 16 random bytes, base64url. */
export type RecordingId = string;

export type RelayErrorCode =
  | "not_admitted"
  | "replaced_by_another"
  | "not_allowed"
  | "malformed"
  | "too_much"
  | "media"
  | "visit_over";

/** From the relay to a participant. */
export type RelayMessage =
  | { readonly t: "challenge"; readonly v: number; readonly nonce: Base64Url }
  | {
      readonly t: "ready";
      readonly participant: ParticipantId;
      readonly group?: GroupInfo | null;
      /** Participants with a live connection. */
      readonly present: ReadonlyArray<ParticipantId>;
      /** Everybody who asked to be let in and is still connected. */
      readonly waiting: ReadonlyArray<Waiting>;
      /** The last entry of the log. */
      readonly seq: number;
    }
  | { readonly t: "presence"; readonly participant: ParticipantId; readonly present: boolean }
  | { readonly t: "waiting"; readonly waiting: Waiting }
  | { readonly t: "group_created"; readonly seq: number; readonly group: GroupInfo; readonly by: ParticipantId }
  | {
      readonly t: "commit";
      readonly seq: number;
      readonly group_id: Base64Url;
      readonly epoch: number;
      readonly from: ParticipantId;
      readonly commit: Base64Url;
    }
  | {
      readonly t: "commit_rejected";
      readonly group_id: Base64Url;
      readonly epoch: number;
      readonly current_epoch: number;
    }
  | {
      readonly t: "welcome";
      readonly group_id: Base64Url;
      readonly epoch: number;
      readonly from: ParticipantId;
      readonly welcome: Base64Url;
    }
  | {
      readonly t: "app";
      readonly seq: number;
      readonly group_id: Base64Url;
      readonly epoch: number;
      readonly from: ParticipantId;
      readonly data: Base64Url;
    }
  | { readonly t: "direct"; readonly from: ParticipantId; readonly data: Base64Url }
  | { readonly t: "refusal"; readonly seq: number; readonly refusal: CompactJws }
  | { readonly t: "publish_answer"; readonly sdp: string }
  | {
      readonly t: "subscribe_offer";
      readonly generation: number;
      readonly sdp: string;
      readonly tracks: ReadonlyArray<OfferedTrack>;
    }
  | {
      readonly t: "line_quality";
      readonly down_bps: number;
      readonly loss_percent: number;
      readonly picture: PictureOnLine;
      /** Whose lines are too slow for this participant's picture in full: it was asked to send less. */
      readonly slow_for?: ReadonlyArray<ParticipantId>;
      /** What it was asked to send at most, bits per second. */
      readonly up_limit_bps?: number | null;
    }
  | { readonly t: "ended"; readonly reason?: EndedBy }
  | { readonly t: "error"; readonly code: RelayErrorCode; readonly detail: string }
  | { readonly t: "pong" };

/** What a participant is in the visit. It never changes within a visit. */
export type Role = "clinician" | "patient" | "guest" | "representative" | "interpreter" | "recorder" | "server";

/** One consent round: 16 random bytes, base64url. */
export type RoundId = string;

export type Sending = { readonly open: boolean; readonly reason: NotSending | null };

/** A track's share and where its bytes go. The share is secret to recorder and vault. */
export type ShareGrant = {
  readonly track: TrackId;
  /** 32 bytes; empty when the header needs no share. */
  readonly share: Base64Url;
  /** tus creation URL, absolute or relative to the vault. */
  readonly create_url: string;
};

export type StatementKind = "grant" | "refusal" | "withdrawal";

/** What everybody agrees to besides purpose and recipients. */
export type Terms = {
  /** Days from the end of the recording until it is deleted. */
  readonly retention_days: number;
  readonly on_withdrawal: WithdrawalPolicy;
  /** When an AI processor's audio is deleted, days from the end of the recording. */
  readonly processor_retention_days?: number;
  /** Whether 42 CFR Part 2 governs the visit. */
  readonly part2?: boolean;
  /** When an authorization ends, milliseconds since the Unix epoch. */
  readonly authorization_expires_ms?: number;
};

/** A consent text with its words. */
export type TextBody = {
  readonly layer: Layer;
  /** BCP 47 tag. */
  readonly language: string;
  readonly version: string;
  readonly text: string;
};

export type TextView = {
  /** The words, when a text with exactly this hash has arrived. */
  readonly text: string | null;
  readonly layer: Layer;
  /** BCP 47 language tag. */
  readonly language: string;
  readonly version: string;
  /** SHA-256 of the text's UTF-8 bytes. */
  readonly hash: Hash;
};

/** One ticked precondition. */
export type Tick = {
  /** One of [`CHECKLIST`]. */
  readonly what: "identity_verified" | "emergency_place_known" | "private_setting";
  readonly at_ms: number;
};

/** One track of one part: 16 random bytes, base64url. */
export type TrackId = string;

/** What the vault answers to an open statement that it accepts. */
export type VaultAnswer = {
  readonly v: number;
  readonly recording: RecordingId;
  readonly part: number;
  readonly tracks: ReadonlyArray<ShareGrant>;
  /** Bearer token: append to and close these tracks, nothing else. */
  readonly capability: string;
  readonly capability_expires_ms: number;
  /** The audit log's signed head, the opening included. */
  readonly audit_head?: CompactJws | null;
};

/** Something that happened once. Tagged by `e` in its serialised form. */
export type VisitEvent =
  | { readonly e: "live" }
  | { readonly e: "joined"; readonly participant: ParticipantId }
  | { readonly e: "left"; readonly participant: ParticipantId }
  | { readonly e: "admission_requested"; readonly participant: ParticipantId; readonly role: Role }
  | { readonly e: "consent_requested"; readonly round: RoundId }
  | { readonly e: "consent_answered" }
  | { readonly e: "recorder_joined" }
  | { readonly e: "recorder_left"; readonly why: RecorderLeft }
  | { readonly e: "resuming"; readonly in_ms: number }
  | { readonly e: "withdrawn"; readonly participant: ParticipantId }
  | { readonly e: "commit_refused"; readonly offender?: ParticipantId | null; readonly code: string }
  | { readonly e: "rejoining" }
  | { readonly e: "ended"; readonly reason: EndReason };

/** One visit: 16 random bytes as 22 characters of base64url. */
export type VisitId = string;

/** Everything a page shows about the visit. */
export type VisitState = {
  readonly phase: Phase;
  readonly end_reason: EndReason | null;
  /**
   * The end is this member's own decision, its clock's or the members' word, and not a server's alone: credentials are
   * needed no more.
   */
  readonly end_is_final: boolean;
  readonly visit: VisitId;
  readonly me: Me;
  readonly clinic: ClinicView;
  readonly epoch: number | null;
  /** The clinician who is host; while none is here, who commits at the moment. */
  readonly host: ParticipantId | null;
  readonly roster: ReadonlyArray<Member>;
  readonly waiting: ReadonlyArray<WaitingView>;
  /** Nobody new is let in. */
  readonly locked: boolean;
  readonly label: Label;
  readonly safety_code: string | null;
  readonly verified: boolean;
  readonly indicator: Indicator;
  readonly consent: ConsentView | null;
  readonly sending: Sending;
  readonly problems: ReadonlyArray<Problem>;
};

export type Waiting = {
  readonly participant: ParticipantId;
  readonly role: Role;
  readonly pass: CompactJws;
  readonly key_package: Base64Url;
};

export type WaitingView = {
  readonly participant: ParticipantId;
  readonly role: Role;
  /** The host asked this person for consent while it waits. */
  readonly asked: boolean;
  readonly answer: StatementKind | null;
};

export type WelcomeFor = { readonly to: ParticipantId; readonly welcome: Base64Url };

/** What happens to what was recorded when somebody withdraws. */
export type WithdrawalPolicy = "keep" | "delete" | "ask";

/** What somebody who withdraws wishes for what was recorded until then. */
export type WithdrawalWish = "keep" | "delete";
