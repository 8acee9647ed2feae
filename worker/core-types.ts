/**
 * What the visit core (Rust, WebAssembly module `visit`) takes and gives, in TypeScript.
 *
 * The types themselves are generated from the Rust sources (`generated/types.ts`); here they get the names under which the
 * package publishes them, and bytes become `Uint8Array`. Field names are the core's own (snake_case), because the same values
 * travel through the core, the worker and the page unchanged. Times are milliseconds since the Unix epoch. Nothing here holds a
 * key, except {@link CoreConfig}, which has the pass key's seed: keys of epochs never leave the module.
 */
import type * as core from "../generated/types.js";

export type {
  AnswerOf as ParticipantAnswer,
  ClientMessage,
  CompactJws,
  ConsentRequest as ConsentRequestInput,
  ConsentView as ConsentState,
  EndReason,
  ErrorCode as CommandErrorCode,
  Hash,
  Indicator,
  Layer,
  LeafOf as EpochLeaf,
  Member as RosterEntry,
  MediaKind,
  MediaSource,
  NotSending as ClosedReason,
  Answer as PersonAnswer,
  OfferedTrack,
  OnBehalfOf,
  OpenPart as OpenInput,
  ParticipantId,
  Phase,
  Problem,
  ProblemCode,
  PublicJwk,
  PublishedTrack,
  Purpose,
  RecipientRef,
  RecipientRole,
  RecorderLeft,
  RecordingId,
  RelayErrorCode,
  RelayMessage,
  Role,
  RoundId,
  ShareGrant,
  StatementKind as Answered,
  Terms,
  TextBody as ConsentTextInput,
  TextView as ConsentText,
  Tick,
  TrackId,
  VaultAnswer,
  VisitEvent as CoreEvent,
  VisitId,
  VisitState,
  WaitingView as WaitingEntry,
  WithdrawalPolicy,
  WithdrawalWish,
} from "../generated/types.js";

import type { CompactJws, PublicJwk } from "../generated/types.js";

/** The host's signed word that somebody is where it said. */
export type ConfirmedPlace = Omit<Extract<core.Output, { t: "place" }>, "t">;

/** What a person answers; whether it is a grant or a refusal stands beside it. */
export type AnswerInput = Omit<core.GivenAnswer, "kind">;

// --- Commands -----------------------------------------------------------------------------------

export type Command =
  | Exclude<core.Command, { c: "send" }>
  | (Omit<Extract<core.Command, { c: "send" }>, "data"> & { readonly data: Uint8Array });

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
  | Exclude<core.Input, { t: "command" }>
  | { readonly t: "command"; readonly id: number; readonly command: Command };

export type Output =
  /** The rest concerns keys, and is carried out inside the module. */
  | Exclude<core.Output, { t: "use_epoch" | "retire_epoch" | "drop_leaf" | "message" }>
  | (Omit<Extract<core.Output, { t: "message" }>, "data"> & { readonly data: Uint8Array });

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

/** The relay's word on the line, whole also where the relay is older and says less. */
export type LineQuality = Required<Omit<LineMessage, "t" | "up_limit_bps">> & {
  /** What the relay asked this participant to send at most, bits per second; null when nobody watches it. */
  readonly up_limit_bps: number | null;
};
type LineMessage = Extract<core.RelayMessage, { t: "line_quality" }>;
