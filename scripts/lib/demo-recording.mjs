/** What the clinic does with a recording: fetch it, verify it, open it with its key, look at it. */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { measureMedia } from "../../tests/lib/media-file.mjs";
import { say } from "./log.mjs";

/** Fetches one recording, verifies it, and opens it as the visit's responsible clinician. */
export async function openRecording(stack, recording, { sealed, opened }) {
  const fetched = await stack.fetchRecording(recording, sealed);
  const root = ["--root", stack.path("clinic", "root.pub")];
  const verified = await stack.tool(["verify", sealed, ...root]);
  mkdirSync(opened, { recursive: true });
  const result = await stack.tool([
    ...["open", sealed, ...root, "--key", stack.path("clinician.jwe")],
    ...["--passphrase-file", stack.path("passphrase"), "--out", opened, "--force"],
  ]);
  say(`opened: ${readdirSync(opened).join(", ")}`);
  // A capture that went silent ends its part and the next begins: look at the longest.
  const parts = fetched.parts.map(({ part, manifest }) => ({ part, seconds: lengthOf(manifest) }));
  const longest = parts.reduce((best, next) => (next.seconds > best.seconds ? next : best));
  const tracks = readdirSync(sealed).filter((name) => name.endsWith(".track"));
  return {
    media: path.join(opened, `part-${longest.part}-mixed.webm`),
    // By the recorder's own signed word, which `verify` has checked.
    recorded_s: longest.seconds,
    verified: verified.ok === true && result.ok === true,
    receipt: fetched.parts.every((part) => typeof part.receipt === "string"),
    reasons: fetched.parts.map(({ manifest }) => claimsOf(manifest).reason),
    recording: {
      parts: parts.length,
      tracks: tracks.length,
      sealed_bytes: tracks.reduce((sum, name) => sum + readFileSync(path.join(sealed, name)).length, 0),
      segments: segmentsOf(verified),
    },
  };
}

/** Media time of the part's longest track, in seconds; 0 for a part without a manifest. */
function lengthOf(manifest) {
  if (!manifest) return 0;
  return Math.max(...claimsOf(manifest).tracks.map(({ media_end_us }) => media_end_us)) / 1_000_000;
}

function claimsOf(jws) {
  return jws ? JSON.parse(Buffer.from(jws.split(".")[1], "base64url").toString("utf8")) : {};
}

function segmentsOf({ parts = [] }) {
  return parts.flatMap(({ tracks = [] }) => tracks).reduce((sum, track) => sum + (track.segments ?? 0), 0);
}

/** Pictures a second of everyone that a recording must hold. */
const LEAST_FPS = 5;

/** Different pictures of one person a second of the file: the same picture again is no new one. */
export function picturesPerSecond({ wallMs }, durationS) {
  return Math.round((new Set(wallMs).size / durationS) * 10) / 10;
}

/** Looks for what was recorded: length, everyone's moving code and tone, sound with picture. */
export async function checkOpened(file, { recordedS, shown: { fromMs, untilMs, sources }, check }) {
  const media = await measureMedia(file, { aroundMs: fromMs });
  const shownS = (untilMs - fromMs) / 1_000;
  check(
    "nothing that was shown as recorded is missing",
    media.duration_s >= shownS - 0.5,
    `${media.duration_s.toFixed(2)} s, shown as recording for ${shownS.toFixed(2)} s`,
  );
  check(
    "the opened recording is as long as what was recorded, within 0.5 s",
    Math.abs(media.duration_s - recordedS) <= 0.5,
    `${media.duration_s.toFixed(2)} s of ${recordedS.toFixed(2)} s`,
  );
  const fps = {};
  for (const source of sources) {
    const seen = media.sources.get(source);
    fps[source] = seen ? picturesPerSecond(seen, media.duration_s) : 0;
    check(
      `participant ${source} has at least ${LEAST_FPS} different pictures a second in the recording`,
      fps[source] >= LEAST_FPS,
      `${fps[source]}`,
    );
    check(
      `participant ${source}'s picture is in the recording`,
      (seen?.frames ?? 0) > 20,
      `${seen?.frames ?? 0} frames`,
    );
    check(`participant ${source}'s sound is in the recording`, (seen?.toneShare ?? 0) > 0.5, `${seen?.toneShare ?? 0}`);
  }
  check(
    "sound in the recording, not overdriven",
    media.audio_peak > 0.05 && media.audio_peak <= 1,
    `peak ${media.audio_peak.toFixed(2)}`,
  );
  check(
    "picture and sound within 100 ms of each other",
    media.av_offset_ms !== null && Math.abs(media.av_offset_ms) <= 100,
    `${media.av_offset_ms} ms`,
  );
  return {
    duration_s: Math.round(media.duration_s * 100) / 100,
    video_frames: media.video_frames,
    fps,
    audio_peak: Math.round(media.audio_peak * 1_000) / 1_000,
    av_offset_ms: media.av_offset_ms === null ? null : Math.round(media.av_offset_ms),
  };
}

/** Whoever withdrew is not in the recording after the click: by the clock that their own picture shows. */
export async function checkNothingAfter(file, { untilMs, source, check }) {
  const media = await measureMedia(file, { aroundMs: untilMs });
  const seen = media.sources.get(source);
  check("the recording until the withdrawal is there", (seen?.frames ?? 0) > 0, `${seen?.frames ?? 0} frames`);
  const late = (seen?.lastMs ?? 0) - untilMs;
  check("nothing later than the click is in it", late <= 0, `last picture ${Math.round(-late)} ms before the click`);
}
