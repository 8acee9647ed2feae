/** The little that must be known of codecs and session descriptions (RFC 8866, RFC 8829). */
import { CODECS } from "../generated/codecs.js";
import type { MediaKind } from "../worker/protocol.js";

/** Codecs whose frames can be protected, in order of preference, and the retransmissions that go with them. */
const handled: Readonly<Record<MediaKind, readonly string[]>> = {
  audio: CODECS,
  video: [...CODECS, "video/rtx"],
};

/** Leaves only codecs that can be protected in what a transceiver will offer. */
export function preferHandledCodecs(transceiver: RTCRtpTransceiver, kind: MediaKind): void {
  const capabilities = RTCRtpSender.getCapabilities(kind);
  setPreferences(transceiver, kind, capabilities);
}

/** The same for what an answer will accept. */
export function answerPreferences(transceiver: RTCRtpTransceiver): void {
  const kind = transceiver.receiver.track.kind === "audio" ? "audio" : "video";
  if (transceiver.currentDirection === null) setPreferences(transceiver, kind, RTCRtpReceiver.getCapabilities(kind));
}

function setPreferences(
  transceiver: RTCRtpTransceiver,
  kind: MediaKind,
  capabilities: RTCRtpCapabilities | null,
): void {
  const codecs = (capabilities?.codecs ?? [])
    .filter(({ mimeType }) => handled[kind].includes(mimeType.toLowerCase()))
    .sort((a, b) => handled[kind].indexOf(a.mimeType.toLowerCase()) - handled[kind].indexOf(b.mimeType.toLowerCase()));
  if (codecs.length > 0) transceiver.setCodecPreferences(codecs);
}

/** Whether two descriptions come from different sessions of the other side, so that a connection cannot go on. */
export function hasOtherSession(before: string, after: string): boolean {
  return sessionId(before) !== sessionId(after) || fingerprint(before) !== fingerprint(after);
}

/** `o=<username> <session id> <version> ...` */
function sessionId(sdp: string): string | undefined {
  return /^o=\S+ (\S+) /m.exec(sdp)?.[1];
}

function fingerprint(sdp: string): string | undefined {
  return /^a=fingerprint:(.+)$/m.exec(sdp)?.[1]?.trim();
}
