// Generated from the Rust sources by `npm run types`: change those, and run it again.

/** One person's decision on the two layers. A device may stand for several people. */
export type Answer = {
  /** `self`, or an opaque label for another person at this device. */
  readonly person: string;
  /** The person themselves, or somebody they decide for. */
  readonly on_behalf_of: OnBehalfOf;
  /** Agreed to the use of the health information. */
  readonly information: boolean;
  /** Agreed to being recorded. */
  readonly recording: boolean;
};

/** What one participant answered. */
export type AnswerOf = {
  /** Who. */
  readonly participant: ParticipantId;
  /** What. */
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
      /** The protocol's version, [`crate::VERSION`]. The relay refuses another as [`RelayErrorCode::Malformed`]. */
      readonly v: number;
      /** The participant's pass. It must not have expired. */
      readonly pass: CompactJws;
      /** Signed by the pass key over this connection's challenge. */
      readonly proof: CompactJws;
      /**
       * The last entry of the log that the participant has. Absent when it has none: then nothing is sent of the
       * log so far.
       */
      readonly after_seq?: number | null;
    }
  | {
      readonly t: "key_package";
      /** An MLS key package whose leaf is signed by the pass key; at most 16 KiB. */
      readonly key_package: Base64Url;
    }
  | {
      readonly t: "create_group";
      /** The new group's id: one that this visit never used, at most 64 bytes. */
      readonly group_id: Base64Url;
      /**
       * The group that is current, to be left for the new one. Absent for the visit's first group, which only a
       * clinician starts.
       */
      readonly replaces?: Base64Url | null;
    }
  | {
      readonly t: "commit";
      /** The current group. */
      readonly group_id: Base64Url;
      /** The epoch that the commit leaves. */
      readonly epoch: number;
      /** The MLS commit. The relay cannot read it. */
      readonly commit: Base64Url;
      /** One for each participant that the commit adds; the relay passes it on once the commit is ordered. */
      readonly welcomes: ReadonlyArray<WelcomeFor>;
      /** Whom the commit removes, by the committer's word: the relay cannot read it. It stops serving them. */
      readonly removed?: ReadonlyArray<ParticipantId>;
    }
  | {
      readonly t: "app";
      /** The current group. */
      readonly group_id: Base64Url;
      /** The epoch it is encrypted in. An older one is ordered too, a later one refused. */
      readonly epoch: number;
      /** The MLS message, at most 256 KiB. */
      readonly data: Base64Url;
    }
  | {
      readonly t: "direct";
      /** Who gets it. If that participant is not connected, it is dropped without a word. */
      readonly to: ParticipantId;
      /** The bytes, at most 256 KiB. The relay does not look inside. */
      readonly data: Base64Url;
    }
  | {
      readonly t: "refusal";
      /** The refusal, signed by the sender's pass key. */
      readonly refusal: CompactJws;
    }
  | {
      readonly t: "publish_offer";
      /** The session description (SDP) of the offer, at most 256 KiB. A later one renegotiates. */
      readonly sdp: string;
      /** What is sent in which media section. */
      readonly tracks: ReadonlyArray<PublishedTrack>;
    }
  | { readonly t: "subscribe" }
  | {
      readonly t: "subscribe_answer";
      /** Of the offer that this answers. An answer to an offer that was replaced is ignored. */
      readonly generation: number;
      /** The session description (SDP) of the answer, at most 512 KiB. */
      readonly sdp: string;
    }
  | { readonly t: "leave" }
  | { readonly t: "end" }
  | { readonly t: "ping" };

/** What the clinic says of itself in its signed document. */
export type ClinicView = {
  /** Its name. */
  readonly name: string;
  /** Contact for questions about recordings. */
  readonly contact: string;
};

/** A command. Tagged by `c` in its serialized form. */
export type Command =
  | {
      readonly c: "admit";
      /** Somebody who waits. */
      readonly participant: ParticipantId;
    }
  | {
      readonly c: "ask_waiting";
      /** Somebody who waits. */
      readonly participant: ParticipantId;
    }
  | {
      readonly c: "pause_and_admit";
      /** Somebody who waits. */
      readonly participant: ParticipantId;
    }
  | {
      readonly c: "deny";
      /** Somebody who waits. */
      readonly participant: ParticipantId;
    }
  | {
      readonly c: "remove";
      /** A member. */
      readonly participant: ParticipantId;
    }
  | ({ readonly c: "request_consent" } & ConsentRequest)
  | {
      readonly c: "lock";
      /** True to keep newcomers out. */
      readonly locked: boolean;
    }
  | {
      readonly c: "hand_over";
      /** A clinician of the roster. A clinician who is not host can name only itself, to take over. */
      readonly participant: ParticipantId;
    }
  | {
      readonly c: "confirm_place";
      /** Who stated the place. */
      readonly participant: ParticipantId;
    }
  | ({ readonly c: "answer" } & GivenAnswer)
  | {
      readonly c: "withdraw";
      /** What the person wants for the recording; none where they do not say. */
      readonly wish?: WithdrawalWish | null;
    }
  | { readonly c: "start_recorder" }
  | { readonly c: "pause" }
  | { readonly c: "agree_resume" }
  | { readonly c: "stop_recording" }
  | {
      readonly c: "send";
      /** The bytes, which the others get as [`super::Output::Message`]. */
      readonly data: Base64Url;
    }
  | { readonly c: "mark_verified" }
  | { readonly c: "leave" }
  | { readonly c: "end" }
  | {
      readonly c: "sign_open";
      /** What the recording module knows of the part. The answer to the command is the signed statement. */
      readonly open: OpenPart;
    }
  | {
      readonly c: "heartbeat";
      /** Number of the part that is being recorded. */
      readonly part: number;
      /** How many segments are sealed. */
      readonly segments: number;
      /** How much media is sealed, in microseconds. */
      readonly sealed_media_us: number;
    };

/** Why a command failed: a stable code, and words for a developer. */
export type CommandError = {
  /** Why, for programs. */
  readonly code: ErrorCode;
  /** Why, for developers: English words of no stable form. */
  readonly message: string;
};

/** A compact JWS (RFC 7515). */
export type CompactJws = string;

/** What the host asks for. */
export type ConsentRequest = {
  /** What the recording is for. */
  readonly purpose: Purpose;
  /** To whom it is sealed. Each must be in the clinic document with this role; the order does not matter. */
  readonly recipients: ReadonlyArray<RecipientRef>;
  /** The texts to show: both layers in every language that occurs. */
  readonly texts: ReadonlyArray<TextBody>;
  /** How long the recording is kept, and what follows from a withdrawal. */
  readonly terms: Terms;
  /** What the host ticked before asking. */
  readonly checklist: ReadonlyArray<Tick>;
  /** The participant that is to record. */
  readonly recorder: ParticipantId;
  /** When asked again after a refusal: the round that was refused. */
  readonly again_after?: RoundId;
  /** Reason, or the purpose in words when it is `other`. Stays inside the encryption. */
  readonly note?: string;
  /** Number to call back in an emergency. Stays inside the encryption. */
  readonly emergency?: string;
};

/** The open consent round. */
export type ConsentView = {
  /** The round's id. */
  readonly round: RoundId;
  /** What the recording would be for. */
  readonly purpose: Purpose;
  /** The clinician who signed the request. */
  readonly host: ParticipantId;
  /** That clinician's display name; none until it was told. */
  readonly host_name: string | null;
  /** The participant that would record. */
  readonly recorder: ParticipantId;
  /** To whom the recording would be sealed. */
  readonly recipients: ReadonlyArray<RecipientRef>;
  /** What else people agree to. */
  readonly terms: Terms;
  /** The texts to show. */
  readonly texts: ReadonlyArray<TextView>;
  /** The host's reason, in words; empty when there is none or it has not arrived. */
  readonly note: string;
  /** Number to call back in an emergency; for clinicians only. */
  readonly emergency: string;
  /**
   * Who agreed to words in another language than the own, and for whom no interpreter has signed yet. For the host and
   * for interpreters only.
   */
  readonly interpreter_needed: ReadonlyArray<ParticipantId>;
  /** What this participant has answered; none while an answer is due. */
  readonly my_answer: StatementKind | null;
  /** Whether everybody in the roster has agreed, so that the recorder may be added. */
  readonly all_agreed: boolean;
  /** Whether somebody refused or withdrew; in the waiting room, only whether this participant refused. */
  readonly someone_refused: boolean;
  /** How many of the roster have an answer that need not be given again; 0 in the waiting room. */
  readonly answered: number;
  /** How many of the roster are asked: all but a recorder; 0 in the waiting room. */
  readonly asked: number;
  /** For the host only: who answered what. */
  readonly by_participant: ReadonlyArray<AnswerOf>;
  /** Whether the host asks again after a refusal. */
  readonly asked_again: boolean;
};

/** Why a visit ended for a member. */
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
  /** Grant, refusal or withdrawal. */
  readonly kind: StatementKind;
  /** The answers of everybody at this device. A grant needs one at least, and all must agree to both layers. */
  readonly answers: ReadonlyArray<Answer>;
  /** Of the texts that were shown. */
  readonly language: string;
  /** The person's own language, where no text is in it. */
  readonly spoken?: string;
  /** Interpreter: for whom it put the words into their language. */
  readonly interpreted_for?: ReadonlyArray<ParticipantId>;
  /** The place stated: an ISO 3166 code such as `US-CA`; empty when none is stated. */
  readonly place: string;
};

/** The group that is current in a visit. */
export type GroupInfo = {
  /** The MLS group's id. */
  readonly group_id: Base64Url;
  /** Its epoch, as the relay counts the commits it has ordered. */
  readonly epoch: number;
  /** Counts from 0; grows when a group is left for a new one. */
  readonly generation: number;
};

/** SHA-256, base64url. */
export type Hash = string;

/** The recording indicator. A recorder in the roster is never shown as absent. */
export type Indicator =
  | { readonly kind: "not_recorded" }
  | {
      readonly kind: "recording";
      /** What for. */
      readonly purpose: Purpose;
      /** Since when this member has seen the recorder in the roster, milliseconds since the Unix epoch. */
      readonly since_ms: number;
    }
  | {
      readonly kind: "recorder_present";
      /** What for; none while no round is open. */
      readonly purpose: Purpose | null;
    }
  | {
      readonly kind: "paused";
      /** What for; `other` while no round is open. */
      readonly purpose: Purpose;
      /** It was this participant who went off the record. */
      readonly by_me: boolean;
    }
  | { readonly kind: "stopped_by_you" }
  | { readonly kind: "stopped" };

/** One input. Tagged by `t` in its serialized form. */
export type Input =
  | {
      readonly t: "relay";
      /** The message, unverified. */
      readonly message: RelayMessage;
    }
  | { readonly t: "relay_closed" }
  | { readonly t: "tick" }
  | {
      readonly t: "command";
      /** Chosen by the embedder; the answer repeats it. */
      readonly id: number;
      /** What is to be done. */
      readonly command: Command;
    };

/** Who can see and hear this, from the roster alone. */
export type Label = { readonly kind: "end_to_end" } | { readonly kind: "server_present" };

/** The two things that are decided separately. */
export type Layer = "information" | "recording";

/** A leaf and who sits there. */
export type LeafOf = {
  /** The leaf's index, which names the frames sent from it. */
  readonly leaf: number;
  /** Who sits there. */
  readonly participant: ParticipantId;
};

/** This participant, from its pass. */
export type Me = {
  /** Its id. */
  readonly participant: ParticipantId;
  /** Its role. */
  readonly role: Role;
  /** Its display name. */
  readonly name: string;
  /** This member is the host now. */
  readonly host: boolean;
};

/** What a track carries. */
export type MediaKind = "audio" | "video";

/** What a track shows. */
export type MediaSource = "microphone" | "camera" | "screen";

/** A member of the group. */
export type Member = {
  /** Its id. */
  readonly participant: ParticipantId;
  /** Its role, from the pass. */
  readonly role: Role;
  /** Opened from the pass's commitment; none until the member told it. */
  readonly name: string | null;
  /** Its leaf, which names its frames. */
  readonly leaf: number;
  /** Whether it is connected, by the relay's word; always true for this member. */
  readonly connected: boolean;
  /** Whether it is this member. */
  readonly is_me: boolean;
};

/** Why a member sends nothing. */
export type NotSending = "not_live" | "withdrawn" | "refused_commit";

/** A track as the relay offers it. */
export type OfferedTrack = {
  /** The media section of the relay's offer. */
  readonly mid: string;
  /** Whose track it is, by the relay's word. The frames' authentication says whose they are. */
  readonly participant: ParticipantId;
  /** As its sender named it ([`PublishedTrack::track`]). */
  readonly track: string;
  /** Sound or pictures. */
  readonly kind: MediaKind;
  /** Where it comes from, by its sender's word. */
  readonly source: MediaSource;
};

/** For whom an answer is given. */
export type OnBehalfOf =
  | { readonly kind: "myself" }
  | {
      readonly kind: "represented";
      /** The represented person, if that one is a participant of the visit; else absent. */
      readonly whom?: ParticipantId | null;
      /** In what capacity, as a code such as `parent`, `guardian`, `proxy`. */
      readonly capacity: string;
      /** What allows it, as a code such as `parent_of_minor`, `court_order`, `power_of_attorney`. */
      readonly basis: string;
    };

/** What the recording module knows of a part; the rest of the open statement comes from the group. */
export type OpenPart = {
  /** The recording: one for all parts of a round. */
  readonly recording: RecordingId;
  /** Number of the part, from 0. */
  readonly part: number;
  /** The key drawn for this part, which will sign its envelopes, checkpoints and manifest. */
  readonly recording_key: PublicJwk;
  /** Its tracks, from 1 to 64, with their headers. */
  readonly tracks: ReadonlyArray<OpenTrack>;
  /** The part before; absent for the first. */
  readonly previous?: PreviousPart;
};

/** A track that will be recorded: its header, whole. */
export type OpenTrack = {
  /** The track. The header names the same. */
  readonly track: TrackId;
  /** The exact bytes of the track's header ([`Header`]). */
  readonly header: Base64Url;
};

/** One output, to be carried out in order. Tagged by `t` in its serialized form. */
export type Output =
  | {
      readonly t: "send";
      /** The message. */
      readonly message: ClientMessage;
    }
  | { readonly t: "reconnect" }
  | {
      readonly t: "state";
      /** The state as it is now. It replaces the one before. */
      readonly state: VisitState;
    }
  | {
      readonly t: "event";
      /** What happened. */
      readonly event: VisitEvent;
    }
  | {
      readonly t: "install_epoch";
      /** The epoch. */
      readonly epoch: number;
      /** This member's leaf, which names its own frames. */
      readonly own_leaf: number;
      /** Who sends from which leaf. A recorder sends nothing, and is not among them. */
      readonly leaves: ReadonlyArray<LeafOf>;
    }
  | {
      readonly t: "use_epoch";
      /** An epoch that was installed before. */
      readonly epoch: number;
    }
  | {
      readonly t: "retire_epoch";
      /** The epoch. */
      readonly epoch: number;
      /** When. */
      readonly at_ms: number;
    }
  | {
      readonly t: "drop_leaf";
      /** The last epoch that the leaf was in; its keys of earlier ones go too. */
      readonly epoch: number;
      /** The leaf. Its number may belong to somebody else from the next epoch on. */
      readonly leaf: number;
    }
  | { readonly t: "clear_keys" }
  | {
      readonly t: "gate";
      /** True lets frames out, encrypted. */
      readonly open: boolean;
    }
  | {
      readonly t: "timer";
      /** When. There is one timer at most. */
      readonly at_ms: number;
    }
  | {
      readonly t: "done";
      /** As in [`super::Input::Command`]. */
      readonly id: number;
      /** The signed open statement, for [`super::Command::SignOpen`]; absent for every other command. */
      readonly result?: string | null;
    }
  | {
      readonly t: "failed";
      /** As in [`super::Input::Command`]. */
      readonly id: number;
      /** Why. */
      readonly error: CommandError;
    }
  | {
      readonly t: "remember";
      /** The whole memory. */
      readonly memory: string;
    }
  | { readonly t: "forget" }
  | {
      readonly t: "signed";
      /** The signed statement. */
      readonly statement: CompactJws;
      /**
       * For a grant: withdrawals from it, signed ahead, with the wish to delete and with the wish to keep. Whoever has
       * one can withdraw after the visit, when the pass key is gone.
       */
      readonly withdrawals: ReadonlyArray<CompactJws>;
    }
  | {
      readonly t: "withdrawal";
      /** The signed statement. */
      readonly statement: CompactJws;
      /** This member's own. */
      readonly mine: boolean;
    }
  | {
      readonly t: "place";
      /** The round in which the place was stated. */
      readonly round: RoundId;
      /** Who stated it. */
      readonly participant: ParticipantId;
      /** The confirmation, signed by a clinician. */
      readonly place: CompactJws;
    }
  | {
      readonly t: "message";
      /** The member that sent them, as MLS authenticates it. */
      readonly from: ParticipantId;
      /** The bytes, as sent. */
      readonly data: Base64Url;
    };

/** One participant of a visit, kept across reloads: 16 random bytes, base64url. */
export type ParticipantId = string;

/** How far a member has come. */
export type Phase = "connecting" | "waiting" | "live" | "rekeying" | "ended";

/** What a slow line towards a participant does to the pictures of the others. Sound goes on in any case. */
export type PictureOnLine = "full" | "lowered" | "withheld";

/** The part before, and the last checkpoint that the recorder knows of it. */
export type PreviousPart = {
  /** Its number; lower than this part's. */
  readonly part: number;
  /** Chain head of each track, as far as known. */
  readonly heads: ReadonlyArray<readonly [TrackId, Hash]>;
};

/** Something a person should know about, in a code that pages turn into words. */
export type Problem = {
  /** Which problem. */
  readonly code: ProblemCode;
  /** When it was noticed first, by this device's clock, milliseconds since the Unix epoch. */
  readonly at_ms: number;
  /** Whom it is about, where that is known. */
  readonly participant: ParticipantId | null;
};

/** What went wrong, or was refused. */
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
  /** Sound or pictures. */
  readonly kind: MediaKind;
  /** Where it comes from, by its sender's word. */
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
export type RecipientRef = {
  /** [`Recipient::fingerprint_of`] the recipient's suite and public key. */
  readonly fingerprint: Hash;
  /** The role that people are told. It must be the one in the clinic document ([`ClinicDocument::recipient`]). */
  readonly role: RecipientRole;
};

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

/** Why the relay refused a message or a connection. */
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
  | {
      readonly t: "challenge";
      /** The protocol's version, [`crate::VERSION`]. */
      readonly v: number;
      /** What the hello's proof must be signed over. */
      readonly nonce: Base64Url;
    }
  | {
      readonly t: "ready";
      /** Who the relay takes this connection for, from the pass. */
      readonly participant: ParticipantId;
      /** The current group. Absent until somebody creates the visit's first. */
      readonly group?: GroupInfo | null;
      /** Participants with a live connection. */
      readonly present: ReadonlyArray<ParticipantId>;
      /** Everybody who asked to be let in and is still connected. */
      readonly waiting: ReadonlyArray<Waiting>;
      /** The last entry of the log. */
      readonly seq: number;
    }
  | {
      readonly t: "presence";
      /** Whose connection. */
      readonly participant: ParticipantId;
      /** True if it is connected now. */
      readonly present: boolean;
    }
  | {
      readonly t: "waiting";
      /** Who, with a pass and a key package that the receiver must verify: the relay's word is not enough. */
      readonly waiting: Waiting;
    }
  | {
      readonly t: "group_created";
      /** Place in the log. */
      readonly seq: number;
      /** The new group. */
      readonly group: GroupInfo;
      /** Who created it. */
      readonly by: ParticipantId;
    }
  | {
      readonly t: "commit";
      /** Place in the log. */
      readonly seq: number;
      /** The group. */
      readonly group_id: Base64Url;
      /** The epoch that the commit leaves. */
      readonly epoch: number;
      /** Who sent it, by the relay's word. Whose it is, MLS says. */
      readonly from: ParticipantId;
      /** The MLS commit, as sent. */
      readonly commit: Base64Url;
    }
  | {
      readonly t: "commit_rejected";
      /** The group of the rejected commit. */
      readonly group_id: Base64Url;
      /** The epoch that the rejected commit would have left. */
      readonly epoch: number;
      /** The group's epoch now. */
      readonly current_epoch: number;
    }
  | {
      readonly t: "welcome";
      /** The group. */
      readonly group_id: Base64Url;
      /** The epoch that it leads into. */
      readonly epoch: number;
      /** Who sent it, by the relay's word. */
      readonly from: ParticipantId;
      /** The MLS Welcome, as sent. */
      readonly welcome: Base64Url;
    }
  | {
      readonly t: "app";
      /** Place in the log. */
      readonly seq: number;
      /** The group. */
      readonly group_id: Base64Url;
      /** The epoch it is encrypted in; it may be older than the current one. */
      readonly epoch: number;
      /** Who sent it, by the relay's word. Whose it is, MLS says. */
      readonly from: ParticipantId;
      /** The MLS message, as sent. */
      readonly data: Base64Url;
    }
  | {
      readonly t: "direct";
      /** Who sent them, by the relay's word. */
      readonly from: ParticipantId;
      /** The bytes, as sent. */
      readonly data: Base64Url;
    }
  | {
      readonly t: "refusal";
      /** Place in the log. */
      readonly seq: number;
      /** Signed by the pass key of who refuses. */
      readonly refusal: CompactJws;
    }
  | {
      readonly t: "publish_answer";
      /** The session description (SDP) of the answer. */
      readonly sdp: string;
    }
  | {
      readonly t: "subscribe_offer";
      /** Grows with every offer to this participant; the answer repeats it. */
      readonly generation: number;
      /** The session description (SDP) of the offer. */
      readonly sdp: string;
      /** Whose track comes in which media section. */
      readonly tracks: ReadonlyArray<OfferedTrack>;
    }
  | {
      readonly t: "line_quality";
      /** What the line is estimated to carry. */
      readonly down_bps: number;
      /** Packets lost on it, from 0 to 100. */
      readonly loss_percent: number;
      /** What the line does to the pictures that this participant receives. */
      readonly picture: PictureOnLine;
      /** Whose lines are too slow for this participant's picture in full: it was asked to send less. */
      readonly slow_for?: ReadonlyArray<ParticipantId>;
      /** What it was asked to send at most, bits per second. */
      readonly up_limit_bps?: number | null;
    }
  | {
      readonly t: "ended";
      /** What ended it. */
      readonly reason?: EndedBy;
    }
  | {
      readonly t: "error";
      /** Why, for programs. */
      readonly code: RelayErrorCode;
      /** Why, for developers: English words of no stable form. */
      readonly detail: string;
    }
  | { readonly t: "pong" };

/** What a participant is in the visit. It never changes within a visit. */
export type Role = "clinician" | "patient" | "guest" | "representative" | "interpreter" | "recorder" | "server";

/** One consent round: 16 random bytes, base64url. */
export type RoundId = string;

/** Whether this member's frames go out. */
export type Sending = {
  /** True if they do. */
  readonly open: boolean;
  /** Why they do not; none if they do. */
  readonly reason: NotSending | null;
};

/** A track's share and where its bytes go. The share is secret to recorder and vault. */
export type ShareGrant = {
  /** The track. */
  readonly track: TrackId;
  /** 32 bytes; empty when the header needs no share. */
  readonly share: Base64Url;
  /** tus creation URL, absolute or relative to the vault. */
  readonly create_url: string;
};

/** What a statement says. */
export type StatementKind = "grant" | "refusal" | "withdrawal";

/** What everybody agrees to besides purpose and recipients. */
export type Terms = {
  /** Days from the end of the recording until the clinic is to delete it. The vault deletes nothing by itself. */
  readonly retention_days: number;
  /** What happens to the recording when somebody withdraws. */
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
  /** Which of the two things the text is about. */
  readonly layer: Layer;
  /** BCP 47 tag. */
  readonly language: string;
  /** Version of the text, as its writer names it. */
  readonly version: string;
  /** The words. The request names them by their hash. */
  readonly text: string;
};

/** A consent text of the request. */
export type TextView = {
  /** The words, when a text with exactly this hash has arrived. */
  readonly text: string | null;
  /** Which of the two things the text is about. */
  readonly layer: Layer;
  /** BCP 47 language tag. */
  readonly language: string;
  /** Version of the text, as its writer names it. */
  readonly version: string;
  /** SHA-256 of the text's UTF-8 bytes. */
  readonly hash: Hash;
};

/** One ticked precondition. */
export type Tick = {
  /** One of [`CHECKLIST`]. */
  readonly what: "identity_verified" | "emergency_place_known" | "private_setting";
  /** When it was ticked, milliseconds since the Unix epoch. */
  readonly at_ms: number;
};

/** One track of one part: 16 random bytes, base64url. */
export type TrackId = string;

/** What the vault answers to an open statement that it accepts. */
export type VaultAnswer = {
  /** The format's major version, [`crate::VERSION`]. */
  readonly v: number;
  /** The recording, as in the open statement. */
  readonly recording: RecordingId;
  /** The part's number, as in the open statement. */
  readonly part: number;
  /** A share and an upload address for each track of the open statement. */
  readonly tracks: ReadonlyArray<ShareGrant>;
  /** Bearer token: append to and close these tracks, nothing else. */
  readonly capability: string;
  /** When the capability expires, by the vault's clock, milliseconds since the Unix epoch. It can be renewed. */
  readonly capability_expires_ms: number;
  /** The audit log's signed head, the opening included. */
  readonly audit_head?: CompactJws | null;
};

/** Something that happened once. Tagged by `e` in its serialized form. */
export type VisitEvent =
  | { readonly e: "live" }
  | {
      readonly e: "joined";
      /** Who. */
      readonly participant: ParticipantId;
    }
  | {
      readonly e: "left";
      /** Who. */
      readonly participant: ParticipantId;
    }
  | {
      readonly e: "admission_requested";
      /** Who. */
      readonly participant: ParticipantId;
      /** As what, from the verified pass. */
      readonly role: Role;
    }
  | {
      readonly e: "consent_requested";
      /** The round. */
      readonly round: RoundId;
    }
  | { readonly e: "consent_answered" }
  | { readonly e: "recorder_joined" }
  | {
      readonly e: "recorder_left";
      /** Why. */
      readonly why: RecorderLeft;
    }
  | {
      readonly e: "resuming";
      /** How long from now, in milliseconds. */
      readonly in_ms: number;
    }
  | {
      readonly e: "withdrawn";
      /** Whose withdrawal it is. */
      readonly participant: ParticipantId;
    }
  | {
      readonly e: "commit_refused";
      /** Who it was; absent where that could not be authenticated. */
      readonly offender?: ParticipantId | null;
      /** Which rule it broke: a stable code. */
      readonly code: string;
    }
  | { readonly e: "rejoining" }
  | {
      readonly e: "ended";
      /** Why. */
      readonly reason: EndReason;
    };

/** One visit: 16 random bytes as 22 characters of base64url. */
export type VisitId = string;

/** Everything a page shows about the visit. */
export type VisitState = {
  /** How far this member has come. */
  readonly phase: Phase;
  /** Why it ended; none before. */
  readonly end_reason: EndReason | null;
  /**
   * The end is this member's own decision, its clock's or the members' word, and not a server's alone: credentials are
   * needed no more.
   */
  readonly end_is_final: boolean;
  /** The visit's id. */
  readonly visit: VisitId;
  /** This participant. */
  readonly me: Me;
  /** The clinic, from its signed document. */
  readonly clinic: ClinicView;
  /** The group's epoch; none while this member's place in a group is not confirmed. */
  readonly epoch: number | null;
  /** The clinician who is host; while none is here, who commits at the moment. */
  readonly host: ParticipantId | null;
  /** Everybody in the group, this member and a recorder included; empty while its place is not confirmed. */
  readonly roster: ReadonlyArray<Member>;
  /** Who waits to be let in; not who comes back with the key of before, which needs no click. */
  readonly waiting: ReadonlyArray<WaitingView>;
  /** Nobody new is let in. */
  readonly locked: boolean;
  /** Who can see and hear this. */
  readonly label: Label;
  /** Digits of the current epoch, for people to compare aloud; none while this member's place is not confirmed. */
  readonly safety_code: string | null;
  /** The safety code was compared, and nobody but a recorder has come since with a key that was not here then. */
  readonly verified: boolean;
  /** Whether this is recorded. */
  readonly indicator: Indicator;
  /** The open consent round, also while this participant is asked in the waiting room; none without one. */
  readonly consent: ConsentView | null;
  /** Whether this member's sound and picture go out. */
  readonly sending: Sending;
  /** What went wrong or was refused, the oldest first; at most 20. */
  readonly problems: ReadonlyArray<Problem>;
};

/** Somebody who asks to be let in. */
export type Waiting = {
  /** Who, by the relay's word. */
  readonly participant: ParticipantId;
  /** In what role, by the relay's word; the pass decides. */
  readonly role: Role;
  /** The participant's pass, to be verified under the clinic document. */
  readonly pass: CompactJws;
  /** The MLS key package to add. It serves once. */
  readonly key_package: Base64Url;
};

/** Somebody who waits to be let in. */
export type WaitingView = {
  /** Who. */
  readonly participant: ParticipantId;
  /** As what, from the verified pass. */
  readonly role: Role;
  /** The host asked this person for consent while it waits. */
  readonly asked: boolean;
  /** The answer, once it has come; for the host who asked. */
  readonly answer: StatementKind | null;
};

/** A Welcome and who gets it. */
export type WelcomeFor = {
  /** A participant that the commit adds. */
  readonly to: ParticipantId;
  /** The MLS Welcome. */
  readonly welcome: Base64Url;
};

/** What happens to what was recorded when somebody withdraws. */
export type WithdrawalPolicy = "keep" | "delete" | "ask";

/** What somebody who withdraws wishes for what was recorded until then. */
export type WithdrawalWish = "keep" | "delete";
