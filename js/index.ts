/**
 * Sealed Visit: end-to-end encrypted video visits with a declared, consented, sealed recorder.
 *
 * ```js
 * import { joinVisit, support } from "sealed-visit";
 *
 * const visit = await joinVisit({ relayUrl, rootKey, clinicDocument, displayName, getPass });
 * visit.on("state", (state) => show(state));
 * const media = visit.connectMedia({ stream: await navigator.mediaDevices.getUserMedia({ audio: true, video: true }) });
 * media.on("remote_added", ({ participant, mediaTrack }) => play(participant, mediaTrack));
 * ```
 */
export type { AssetOptions } from "./assets.js";
export type { CaptureOptions } from "./capture.js";
export { type CoreErrorCode, type ErrorCode, errorCodes, type OwnErrorCode, SealedVisitError } from "./errors.js";
export { TypedEventTarget } from "./events.js";
export type { HealthReport, HealthStatus, PoorCause } from "./health.js";
export type { MediaFlow } from "./media-flow.js";
export {
  type LocalTrack,
  type MediaConnectionState,
  MediaSession,
  type MediaSessionEvents,
  type MediaSessionOptions,
  type RemoteTrack,
} from "./media-session.js";
export { type GetPass, type MemberOptions, type PassRequest, preload } from "./member.js";
export { joinAsRecorder, unlockPlayer } from "./on-demand.js";
export type {
  LoadOptions,
  OpenedPart,
  OpenedRecording,
  OpenedTrack,
  Player,
  PlayerOptions,
  Slice,
  TrackAbout,
} from "./playback.js";
export type { ProtectedReceiver, ProtectedSender, ReceiverOptions, SenderOptions } from "./protect.js";
export type { LineDirection, LineState } from "./line-watch.js";
export type { Recorder, RecorderEvents, RecorderOptions, RecorderState, RecordingGap } from "./recorder.js";
export type { GapReason } from "./slice-watch.js";
export { type RecoveryOptions, recoverSpools } from "./recovery.js";
export { type Capability, type Support, support } from "./support.js";
export {
  type FirstFrame,
  type FramesDropped,
  type Hold,
  type JoinOptions,
  joinVisit,
  Visit,
  type VisitEvents,
} from "./visit.js";
export { postWithdrawal, type WithdrawalOutcome } from "./withdrawal.js";
export type {
  AnswerInput,
  CompactJws,
  ConsentRequestInput,
  ConsentState,
  ConsentText,
  ConsentTextInput,
  CoreEvent,
  EndReason,
  Hash,
  Indicator,
  Layer,
  LineQuality,
  MediaKind,
  MediaSource,
  OnBehalfOf,
  ParticipantId,
  PartEndReason,
  PersonAnswer,
  Phase,
  Problem,
  PublicJwk,
  Purpose,
  RecipientRef,
  RecordingId,
  Role,
  RosterEntry,
  RoundId,
  SpoolState,
  SpoolStatus,
  SpoolWarning,
  StopMeasured,
  Terms,
  Tick,
  TrackCounts,
  TrackId,
  UploadWait,
  VisitId,
  VisitState,
  WaitingEntry,
  WorkerStats,
} from "../worker/protocol.js";
