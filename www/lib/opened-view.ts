/** An opened recording: its media, what the check found, who agreed to it. */
import type { OpenedRecording } from "sealed-visit";
import { icon, stringsFor } from "sealed-visit/components";
import { language } from "../strings/index.js";
import { claimsOf } from "./config.js";
import { button, h } from "./dom.js";
import { clock } from "./progress-panel.js";
import { playbackWords } from "../strings/playback.js";

/** The parts of the package's report that are shown. */
export interface RecordingReport {
  ok: boolean;
  complete: boolean;
  media_us: number;
  parts: {
    part: number;
    purpose: string | null;
    started_ms: number;
    ending:
      | { state: "finished"; reason: string; ended_ms: number }
      | { state: "closed_by_vault"; reason: string; stopped_ms: number }
      | { state: "open" };
  }[];
  pauses: { after_part: number; from_ms: number; to_ms: number }[];
  problems: { code: string; message: string }[];
}

export interface OpenedPartMedia {
  part: number;
  blob: Blob;
  /** Why what follows is missing; null when the track was opened to its end. */
  failure: string | null;
  media_end_us: number;
}

interface Grant {
  role: string;
  at_ms: number;
}

export function openedView(
  recording: OpenedRecording,
  media: readonly OpenedPartMedia[],
  report: RecordingReport,
): HTMLElement {
  return h(
    "section",
    { class: "stack", "data-testid": "opened", "data-ok": String(report.ok), "data-complete": String(report.complete) },
    verdict(report, media),
    ...media
      .flatMap((part, index) => [
        gapBefore(report, part.part),
        h(
          "figure",
          { class: "card stack opened-part" },
          media.length > 1 && h("figcaption", {}, playbackWords().part.replace("{number}", String(index + 1))),
          player(part, `player-${part.part}`),
          saveButton(part),
        ),
      ])
      .filter((child) => child !== null),
    grantsCard(recording, report),
  );
}

function verdict(report: RecordingReport, media: readonly OpenedPartMedia[]): HTMLElement {
  const text = playbackWords();
  const failure = media.find((part) => part.failure !== null);
  const length = clock(report.media_us / 1_000_000);
  const broken = !report.ok || failure !== undefined;
  const ends = report.parts.flatMap(({ ending }) =>
    ending.state === "closed_by_vault" ? [when(ending.stopped_ms)] : [],
  );
  const why = failure?.failure ?? report.problems[0]?.message ?? "";
  return h(
    "div",
    { class: `notice stack ${broken ? "serious" : ""}`, role: "status", "data-testid": "verdict" },
    h(
      "p",
      {},
      icon(broken ? "warning" : "shield"),
      " ",
      broken ? text.not_verified.replace("{why}", why).replace("{until}", length) : text.verified,
    ),
    !broken && h("p", {}, report.complete ? text.complete : text.unfinished.replace("{when}", ends.at(-1) ?? "–")),
    !broken && !report.complete && h("p", {}, text.good_until.replace("{length}", length)),
  );
}

function gapBefore(report: RecordingReport, part: number): HTMLElement | null {
  const pause = report.pauses.find(({ after_part }) => after_part === part - 1);
  if (!pause) return null;
  return h(
    "p",
    { class: "muted" },
    playbackWords().gap.replace("{length}", clock((pause.to_ms - pause.from_ms) / 1000)),
  );
}

function player({ blob, media_end_us }: OpenedPartMedia, testid: string): HTMLVideoElement {
  const video = h("video", { controls: true, playsinline: true, "data-testid": testid });
  video.src = URL.createObjectURL(blob);
  // MediaRecorder's WebM has no duration: a seek far ahead makes the browser find the end.
  video.addEventListener(
    "loadedmetadata",
    () => {
      if (Number.isFinite(video.duration)) return;
      video.currentTime = media_end_us / 1_000_000 + 3600;
      video.addEventListener(
        "seeked",
        () => {
          video.currentTime = 0;
        },
        { once: true },
      );
    },
    { once: true },
  );
  return video;
}

function saveButton({ blob, part }: OpenedPartMedia): HTMLElement {
  const text = playbackWords();
  return h(
    "div",
    { class: "row" },
    button([icon("file"), text.save], {
      testid: `save-${part}`,
      onclick: () => {
        const url = URL.createObjectURL(blob);
        h("a", { href: url, download: `recording-part-${part + 1}.webm` }).click();
        setTimeout(() => URL.revokeObjectURL(url), 10_000);
      },
    }),
    h("span", { class: "small muted" }, text.save_warning),
  );
}

/** The grants stand in the open statement, which was verified when the recording was loaded. */
function grantsCard({ parts }: OpenedRecording, report: RecordingReport): HTMLElement {
  const text = playbackWords();
  const strings = stringsFor(language());
  const open = parts[0] ? (claimsOf(parts[0].open) as { grants?: string[] }) : {};
  const grants = (open.grants ?? []).map((jws): Grant => {
    const { pass, at_ms } = claimsOf(jws) as { pass: string; at_ms: number };
    return { role: (claimsOf(pass) as { role: string }).role, at_ms };
  });
  const purpose = report.parts[0]?.purpose;
  return h(
    "section",
    { class: "card stack", "data-testid": "grants" },
    purpose &&
      h("p", {}, text.purpose.replace("{purpose}", (strings.purpose as Record<string, string>)[purpose] ?? purpose)),
    h("h2", {}, text.granted),
    h(
      "ul",
      {},
      ...grants.map(({ role, at_ms }) =>
        h(
          "li",
          {},
          text.grant
            .replace("{role}", (strings.role as Record<string, string>)[role] ?? role)
            .replace("{when}", when(at_ms)),
        ),
      ),
    ),
  );
}

export function when(at_ms: number): string {
  return new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" }).format(at_ms);
}
