/** What the clinic does with a recording: fetch it, verify it, open it with its key, look at it. */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { measureMedia } from "../../tests/lib/media-file.mjs";
import { say } from "./log.mjs";

/** Fetches the visit's recording and opens it as its responsible clinician. */
export async function openRecording(stack, { sealed, opened }) {
  const [newest] = await stack.recordings();
  if (!newest) throw new Error("the vault has no recording");
  const fetched = await stack.fetchRecording(newest.recording, sealed);
  const root = ["--root", stack.path("clinic", "root.pub")];
  const verified = await stack.tool(["verify", sealed, ...root]);
  mkdirSync(opened, { recursive: true });
  const result = await stack.tool([
    ...["open", sealed, ...root, "--key", stack.path("clinician.jwe")],
    ...["--passphrase-file", stack.path("passphrase"), "--out", opened, "--force"],
  ]);
  say(`opened: ${readdirSync(opened).join(", ")}`);
  const media = readdirSync(opened).find((name) => name.endsWith(".webm"));
  if (!media) throw new Error("no media file was opened");
  const tracks = readdirSync(sealed).filter((name) => name.endsWith(".track"));
  return {
    media: path.join(opened, media),
    verified: verified.ok === true && result.ok === true,
    receipt: fetched.parts.every((part) => typeof part.receipt === "string"),
    // By the recorder's own signed word, which `verify` has checked.
    recorded_s: fetched.parts.reduce((sum, { manifest }) => sum + lengthOf(manifest), 0),
    recording: {
      tracks: tracks.length,
      sealed_bytes: tracks.reduce((sum, name) => sum + readFileSync(path.join(sealed, name)).length, 0),
      segments: segmentsOf(verified),
    },
  };
}

/** Media time of the part's longest track. */
function lengthOf(manifest) {
  const { tracks } = JSON.parse(Buffer.from(manifest.split(".")[1], "base64url").toString("utf8"));
  return Math.max(...tracks.map(({ media_end_us }) => media_end_us)) / 1_000_000;
}

function segmentsOf({ parts = [] }) {
  return parts.flatMap(({ tracks = [] }) => tracks).reduce((sum, track) => sum + (track.segments ?? 0), 0);
}

/** Looks for what was recorded: length, everybody's moving code and tone, sound with picture. */
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
  for (const source of sources) {
    const seen = media.sources.get(source);
    check(
      `participant ${source}'s picture is in the recording`,
      (seen?.frames ?? 0) > 20,
      `${seen?.frames ?? 0} frames`,
    );
    check(`participant ${source}'s sound is in the recording`, (seen?.toneShare ?? 0) > 0.5, `${seen?.toneShare ?? 0}`);
  }
  check("sound in the recording", media.audio_peak > 0.05, `peak ${media.audio_peak.toFixed(2)}`);
  check(
    "picture and sound within 100 ms of each other",
    media.av_offset_ms !== null && Math.abs(media.av_offset_ms) <= 100,
    `${media.av_offset_ms} ms`,
  );
  return {
    duration_s: Math.round(media.duration_s * 100) / 100,
    video_frames: media.video_frames,
    audio_peak: Math.round(media.audio_peak * 1_000) / 1_000,
    av_offset_ms: media.av_offset_ms === null ? null : Math.round(media.av_offset_ms),
  };
}
