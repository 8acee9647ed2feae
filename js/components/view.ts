/**
 * What the components show: the parts of the visit's state that they read.
 *
 * Structural on purpose: the package's `VisitState` fits, and so does what a page with its own state
 * management hands in. Field names and types are the core's.
 */
import type {
  AnswerInput,
  Answered,
  ConsentRequestInput,
  ConsentState,
  ConsentText,
  Indicator,
  Layer,
  ParticipantAnswer as CoreAnswer,
  PersonAnswer,
  Purpose,
  RecipientRef,
  RecipientRole,
  Role,
  RosterEntry as CoreEntry,
  Terms,
  Tick,
  VisitState,
  WaitingEntry as CoreWaiting,
  WithdrawalPolicy,
} from "../../worker/protocol.js";

import { PURPOSES_WITH_AUTHORIZATION } from "../../generated/constants.js";

export { CHECKLIST, PURPOSES } from "../../generated/constants.js";
export type {
  Answered,
  ConsentText,
  Indicator,
  Layer,
  PersonAnswer as ConsentAnswer,
  Purpose,
  RecipientRef as Recipient,
  RecipientRole,
  Role,
  Terms,
  WithdrawalPolicy,
};

/** These parts, and those that a page may leave out. */
type Parts<T, Needed extends keyof T, Optional extends keyof T> = Pick<T, Needed> & Partial<Pick<T, Optional>>;

export type RosterEntry = Parts<CoreEntry, "participant" | "role" | "connected" | "is_me", "name">;

export type ParticipantAnswer = Parts<CoreAnswer, "participant" | "answer", "place" | "place_confirmed">;

export type WaitingEntry = Parts<CoreWaiting, "participant" | "role", "asked" | "answer">;

export type ConsentRound = Parts<
  ConsentState,
  | "round"
  | "purpose"
  | "host"
  | "recorder"
  | "recipients"
  | "terms"
  | "texts"
  | "all_agreed"
  | "someone_refused"
  | "answered"
  | "asked"
  | "asked_again",
  "host_name" | "my_answer" | "emergency" | "interpreter_needed"
> & { readonly by_participant: readonly ParticipantAnswer[] };

export type VisitView = Parts<VisitState, "phase" | "me" | "clinic" | "locked" | "label" | "indicator", "host"> & {
  readonly roster: readonly RosterEntry[];
  readonly waiting: readonly WaitingEntry[];
  readonly consent?: ConsentRound | null;
};

/** Detail of the `sv-answer` event. */
export type ConsentReply = Required<AnswerInput> & { readonly kind: "grant" | "refusal" };

export type ChecklistItem = Tick["what"];

/** Detail of the `sv-request` event: what the host asks for. Which recorder it is for, the page adds. */
export type ConsentRequest = Omit<ConsentRequestInput, "recorder">;

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

/** Whether a purpose goes beyond treatment, payment and operations, so that a written authorization is due. */
export function needsAuthorization(purpose: Purpose): boolean {
  return PURPOSES_WITH_AUTHORIZATION.includes(purpose);
}
