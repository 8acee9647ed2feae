/**
 * What the components show: the parts of the visit's state that they read.
 *
 * Structural on purpose: the package's `VisitState` fits, and so does what a page with its own state
 * management hands in. Field names are the core's.
 */

export type Role = "clinician" | "patient" | "guest" | "representative" | "interpreter" | "recorder" | "server";

export type Purpose =
  | "medical_record"
  | "supervision"
  | "quality_review"
  | "ai_note"
  | "dispute"
  | "research"
  | "other";

/** In the order in which the host is offered them; none is preselected. */
export const PURPOSES: readonly Purpose[] = [
  "medical_record",
  "supervision",
  "quality_review",
  "ai_note",
  "dispute",
  "research",
  "other",
];

export type RecipientRole =
  | "responsible_clinician"
  | "archive"
  | "supervisor"
  | "quality_reviewer"
  | "ai_processor"
  | "legal"
  | "researcher";

/** `role` is one of {@link RecipientRole}, or a newer one that these components do not know yet. */
export interface Recipient {
  /** SHA-256 of suite and public key, base64url. */
  fingerprint: string;
  role: string;
}

export type Layer = "information" | "recording";

export interface ConsentText {
  layer: Layer;
  /** BCP 47. */
  language: string;
  version: string;
  /** SHA-256 of the text's UTF-8 bytes, base64url. */
  hash: string;
  /** Null when the words behind the hash have not arrived, or did not match it. */
  text: string | null;
}

export type WithdrawalPolicy = "keep" | "delete" | "ask";

export interface Terms {
  retention_days: number;
  on_withdrawal: WithdrawalPolicy;
  processor_retention_days?: number;
  part2?: boolean;
  authorization_expires_ms?: number;
}

export interface RosterEntry {
  participant: string;
  role: Role;
  /** Null until the member has told its name inside the group. */
  name?: string | null;
  connected: boolean;
  is_me: boolean;
}

export type Indicator =
  | { kind: "not_recorded" }
  | { kind: "recording"; purpose: Purpose; since_ms: number }
  | { kind: "recorder_present"; purpose?: Purpose | null }
  | { kind: "paused"; purpose: Purpose; by_me: boolean }
  | { kind: "stopped_by_you" }
  | { kind: "stopped" };

export type Answered = "grant" | "refusal" | "withdrawal";

export interface ConsentRound {
  round: string;
  purpose: Purpose;
  host: string;
  host_name?: string | null;
  recorder: string;
  recipients: readonly Recipient[];
  terms: Terms;
  texts: readonly ConsentText[];
  my_answer?: Answered | null;
  all_agreed: boolean;
  someone_refused: boolean;
  answered: number;
  asked: number;
  /** Filled for the host only. */
  by_participant: readonly ParticipantAnswer[];
  asked_again: boolean;
  /** Filled for clinicians only; empty when the host noted no number. */
  emergency?: string;
  /** For whom an interpreter has still to sign; filled for interpreters and the host. */
  interpreter_needed?: readonly string[];
}

export interface ParticipantAnswer {
  participant: string;
  answer: Answered;
  /** ISO 3166 code such as `US-CA`; empty when none was stated. */
  place?: string;
  /** By the host. */
  place_confirmed?: boolean;
}

export interface WaitingEntry {
  participant: string;
  role: Role;
  /** The host asked this person for consent while it waits. */
  asked?: boolean;
  answer?: Answered | null;
}

export interface VisitView {
  phase: "connecting" | "waiting" | "live" | "rekeying" | "ended";
  me: { participant: string; role: Role; name: string; host: boolean };
  clinic: { name: string; contact: string };
  /** While the host is away, who commits in its place. */
  host?: string | null;
  /** Nobody joins who was never in. */
  locked: boolean;
  roster: readonly RosterEntry[];
  waiting: readonly WaitingEntry[];
  label: { kind: "end_to_end" } | { kind: "server_present" };
  indicator: Indicator;
  consent?: ConsentRound | null;
}

/** One person's decision on both layers, as the statement carries it. */
export interface ConsentAnswer {
  /** `self`, or an opaque label for another person at this device. */
  person: string;
  on_behalf_of: { kind: "myself" } | { kind: "represented"; whom?: string; capacity: string; basis: string };
  information: boolean;
  recording: boolean;
}

/** Detail of the `sv-answer` event. */
export interface ConsentReply {
  kind: "grant" | "refusal";
  answers: ConsentAnswer[];
  language: string;
  /** ISO 3166 code such as `US-CA`; empty when not stated. */
  place: string;
  /** BCP 47 tag of the person's language, when no text is in it: an interpreter has to sign too. Empty otherwise. */
  spoken: string;
  /** An interpreter's: for whom it interpreted the words. */
  interpreted_for: string[];
}

export type ChecklistItem = "identity_verified" | "emergency_place_known" | "private_setting";

export const CHECKLIST: readonly ChecklistItem[] = ["identity_verified", "emergency_place_known", "private_setting"];

/** Detail of the `sv-request` event: what the host asks for. */
export interface ConsentRequest {
  purpose: Purpose;
  recipients: Recipient[];
  texts: { layer: Layer; language: string; version: string; text: string }[];
  terms: Terms;
  checklist: { what: ChecklistItem; at_ms: number }[];
  again_after?: string;
  /** Why again, or the purpose in words when it is `other`. Stays inside the encryption. */
  note?: string;
  /** Call-back number for an emergency; inside the encryption, for clinicians only. */
  emergency?: string;
}

/** Whether a recorder can derive this visit's keys right now. */
export function recorderInRoster(view: Pick<VisitView, "roster">): boolean {
  return view.roster.some(({ role }) => role === "recorder");
}

/** Whether this person has still to answer the open round. */
export function mustAnswer(view: Pick<VisitView, "me" | "consent">): boolean {
  const { consent } = view;
  if (!consent || consent.someone_refused) return false;
  return !consent.my_answer || mustInterpret(view);
}

/** Whether an interpreter who has agreed must also sign for another person. */
export function mustInterpret({ me, consent }: Pick<VisitView, "me" | "consent">): boolean {
  const needed = consent?.interpreter_needed ?? [];
  return me.role === "interpreter" && consent?.my_answer === "grant" && needed.length > 0;
}
