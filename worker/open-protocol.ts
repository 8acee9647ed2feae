/**
 * The messages between a playback page and its opening worker. The private key and the passphrase go
 * in and never come out; plaintext comes out only when it was authenticated.
 */
import type { CompactJws, RecordingId, TrackId } from "./core-types.js";
import type { Failure } from "./protocol.js";

/** The vault's answer to `POST /v1/recordings/{id}/open`. */
export interface OpenedRecording {
  readonly recording: RecordingId;
  readonly parts: readonly OpenedPart[];
}

export interface OpenedPart {
  readonly part: number;
  readonly open: CompactJws;
  readonly manifest: CompactJws | null;
  readonly closing: CompactJws | null;
  readonly receipt: CompactJws | null;
  readonly tracks: readonly OpenedTrack[];
}

export interface OpenedTrack {
  readonly track: TrackId;
  /** base64url; empty when the header needs none. */
  readonly share: string;
  /** Signed and short-lived; null when nothing was stored. */
  readonly url: string | null;
  readonly size_bytes: number;
  /** The newest last. */
  readonly envelopes: readonly CompactJws[];
}

export interface TrackLink {
  readonly part: number;
  readonly track: TrackId;
  readonly url: string;
}

export interface TrackAbout {
  readonly part: number;
  readonly track: TrackId;
  readonly content: "mixed" | "participant" | "events";
  readonly media_type: string;
  readonly size_bytes: number;
}

export type OpenRequest =
  /** The key file as it is on the disk: a compact JWE. */
  | {
      readonly r: "unlock";
      readonly wasm_url: string | null;
      readonly key_file: string;
      readonly passphrase: string;
    }
  /** Verifies the documents; nothing is downloaded yet. */
  | {
      readonly r: "load";
      readonly root_key: string;
      readonly clinic_document: CompactJws;
      readonly recording: OpenedRecording;
    }
  /** Downloads, verifies and opens one track; its slices come as events, as many as `more` asks for. */
  | { readonly r: "read"; readonly part: number; readonly track: TrackId }
  | { readonly r: "more"; readonly stream: number; readonly count: number }
  | { readonly r: "cancel"; readonly stream: number }
  /** New download links, after `links_needed`; null when there are none. */
  | { readonly r: "links"; readonly links: readonly TrackLink[] | null }
  /** The verdict over everything that was read. */
  | { readonly r: "report" }
  | { readonly r: "lock" };

export interface OpenResults {
  unlock: { readonly fingerprint: string; readonly spoken: string };
  load: readonly TrackAbout[];
  read: { readonly stream: number };
  more: null;
  cancel: null;
  links: null;
  report: unknown;
  lock: null;
}

export type OpenRequestOf<Name extends OpenRequest["r"]> = Extract<OpenRequest, { readonly r: Name }>;

export interface OpenEnvelope {
  readonly id: number;
  readonly request: OpenRequest;
}

export type FromOpener =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: Failure }
  /** `bytes` is transferred. */
  | { readonly e: "slice"; readonly stream: number; readonly bytes: ArrayBuffer; readonly media_end_us: number }
  /** A download link was refused: please open the recording again, and say `links`. */
  | { readonly e: "links_needed" }
  | { readonly e: "end"; readonly stream: number; readonly error: Failure | null };
