/**
 * What the call's parts share: the visit and its media as they use them, and one way to say that
 * something went wrong. Interfaces, so that a page of examples can stand in for a visit.
 */
import type { MediaSession, Recorder, Visit } from "sealed-visit";

export type CallVisit = Pick<
  Visit,
  | "state"
  | "on"
  | "admit"
  | "askWaiting"
  | "pauseAndAdmit"
  | "deny"
  | "remove"
  | "lock"
  | "handOver"
  | "confirmPlace"
  | "markVerified"
  | "requestConsent"
  | "grant"
  | "refuse"
  | "hold"
  | "withdraw"
  | "startRecorder"
  | "pause"
  | "agreeToResume"
  | "stopRecording"
  | "send"
  | "leave"
  | "end"
>;

export type CallMedia = Pick<
  MediaSession,
  "local" | "remotes" | "line" | "flow" | "on" | "add" | "remove" | "replaceTrack" | "setMuted"
>;

export type CallRecorder = Pick<Recorder, "participant" | "state" | "spools" | "on" | "hasUnsentBytes" | "close">;
