/** What one recorder run will record. Ids and hashes are base64url. */
export interface PartPlan {
  visit: string;
  recording: string;
  /** Counts from 0. */
  part: number;
  tracks: { content: { kind: "mixed" } | { kind: "participant"; participant: string } | { kind: "events" }; media_type: string }[];
  /** As in the granted request. */
  recipients: readonly { fingerprint: string; role: string }[];
  share_required: boolean;
}
export interface DraftOpenInput {
  recording_key: { kty: "OKP"; crv: "Ed25519"; x: string };
  tracks: { track: string; header: string }[];
}
/** Of the vault's answer. `share` is empty where the header needs none. */
export interface ShareGrant { track: string; share: string; create_url: string }
/** Where in the track's file the bytes begin, and the bytes: good until the recorder's next call. */
export type SealedSlice = [offset: number, bytes: Uint8Array];
export interface PartEnd {
  reason: "stopped" | "paused" | "withdrawn" | "removed" | "failed";
  ended_ms: number;
  /** The signed statement, when somebody withdrew. */
  withdrawal?: string;
  /** The host's signed confirmations of the places that people stated. */
  places?: readonly string[];
}
export interface CheckedTrack {
  track: string | null;
  segments: number;
  /** Good up to here. */
  verified_bytes: number;
  fed_bytes: number;
  head: string;
  media_end_us: number;
  last_at_ms: number;
}
export interface ExpectedReceipt {
  open: string;
  manifest?: string;
  tracks: { track: string; length_bytes: number; head: string; envelope?: string }[];
}
export interface PartInfo {
  recording: string;
  visit: string;
  part: number;
  at_ms: number;
  tracks: { track: string; content: { kind: string }; media_type: string; share_required: boolean; recipients: string[] }[];
}
export interface OpenedSlice { index: number; media_end_us: number; at_ms: number; bytes: Uint8Array }
export interface RecordingProblem { code: string; message: string; track?: string }
export interface RecordingReport {
  v: 1;
  /** No alteration was found. */
  ok: boolean;
  /** And nothing is missing. */
  complete: boolean;
  media_us: number;
  parts: {
    recording: string;
    visit: string;
    part: number;
    purpose: string | null;
    granted_by: string[];
    places: { participant: string; place: string; confirmed: boolean }[];
    recipients: string[];
    started_ms: number;
    ending:
      | { state: "finished"; reason: string; ended_ms: number }
      | { state: "closed_by_vault"; reason: string; stopped_ms: number }
      | { state: "open" };
    tracks: {
      track: string;
      content: { kind: string };
      media_type: string;
      share_required: boolean;
      segments: number;
      verified_bytes: number;
      unverified_bytes: number;
      media_end_us: number;
      last_at_ms: number;
      gaps: { from_us: number; to_us: number; reason: string }[];
      envelope: boolean;
    }[];
    receipt: "missing" | "valid" | "covers_more" | "invalid";
    problems: RecordingProblem[];
  }[];
  pauses: { after_part: number; from_ms: number; to_ms: number }[];
  problems: RecordingProblem[];
}
/** What functions and classes of the module `recording` throw. */
export type RecordingErrorCode =
  | "bad_input"
  | "recording-clinic-refused"
  | "recording-recipient-refused"
  | "recording-recipient-key"
  | "recording-header"
  | "recording-open-refused"
  | "recording-other-draft"
  | "recording-share"
  | "recording-unknown-track"
  | "recording-slice-too-long"
  | "recording-time-backwards"
  | "recording-gap"
  | "recording-poisoned"
  | "recording-seal-failed"
  | "receipt-refused"
  | "wipe-refused"
  | "opening-key-file"
  | "opening-envelope-refused"
  | "opening-not-a-recipient"
  | "opening-share"
  | "opening-unwrap"
  | "opening-track-altered"
  | "opening-segment-altered"
  | "opening-poisoned";
