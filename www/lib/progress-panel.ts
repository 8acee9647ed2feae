/** How safe a recording is: sealed here, sent to the clinic, confirmed; and what the recorder receives from each person. */
import { icon } from "sealed-visit/components";
import type { HealthReport, RecordingGap, SpoolStatus, SpoolWarning, VisitState } from "sealed-visit";
import { language } from "../strings/index.js";
import type { CallRecorder } from "./call.js";
import { fill, h } from "./dom.js";
import { reasonOf } from "./frame.js";
import { recorderWords } from "../strings/recorder.js";

/** The recorder's own health, by the key of reports. */
const CAPTURE = "null/null/capture";
const GAPS_SHOWN = 3;

export class ProgressPanel {
  readonly element = h("section", {
    class: "card stack",
    "data-testid": "progress",
    "aria-labelledby": "progress-title",
  });

  readonly #recorder: CallRecorder;
  readonly #health = new Map<string, HealthReport>();
  readonly #status = h("p", { role: "status", "data-testid": "progress-state" });
  readonly #bars = h("div", { class: "stack" });
  readonly #people = h("div", { class: "stack", role: "status" });
  readonly #warnings = h("div", { class: "stack", role: "alert" });
  readonly #missing = h("div", { class: "stack", role: "alert" });
  /** They stay on the screen as long as the panel does. */
  readonly #gaps: RecordingGap[] = [];
  #warning: SpoolWarning | undefined;
  #visitState: VisitState | undefined;

  constructor(recorder: CallRecorder) {
    this.#recorder = recorder;
    fill(
      this.element,
      h("h2", { id: "progress-title" }, recorderWords().progress.title),
      this.#status,
      this.#warnings,
      this.#missing,
      this.#bars,
      this.#people,
    );
    recorder.on("state", ({ phase }) => {
      // The next capture's health is not known yet.
      if (phase !== "recording") this.#health.delete(CAPTURE);
      this.#draw();
    });
    recorder.on("progress", () => this.#draw());
    recorder.on("warning", (warning) => {
      this.#warning = warning;
      this.#draw();
    });
    recorder.on("gap", (gap) => {
      this.#gaps.push(gap);
      this.#draw();
    });
    recorder.on("recorder_health", (report) => {
      this.#health.set(`${report.participant}/${report.track}/${report.kind}`, report);
      this.#draw();
    });
    this.#draw();
  }

  /** Names come from the roster. */
  update(state: VisitState): void {
    this.#visitState = state;
    this.#draw();
  }

  #draw(): void {
    const text = recorderWords().progress;
    const status = this.#sentence();
    if (this.#status.textContent !== status) this.#status.textContent = status;
    this.element.dataset.safety = this.#safety();
    const warning = this.#warning && warningText(this.#warning);
    if (this.#warnings.textContent !== (warning ?? ""))
      fill(this.#warnings, warning && h("p", { class: "notice serious" }, warning));
    this.#drawMissing();
    fill(this.#bars, ...this.#recorder.spools.map((spool) => bar(spool)));
    const rows = this.#healthRows();
    fill(this.#people, rows.length > 0 && h("h3", {}, text.health), rows.length > 0 && h("ul", {}, ...rows));
  }

  /** What is not in the recording: now, and what was missed before. */
  #drawMissing(): void {
    const text = recorderWords().progress;
    const isStalled = this.#recorder.state.phase === "recording" && this.#health.get(CAPTURE)?.status === "stalled";
    const lines = this.#gaps.slice(-GAPS_SHOWN).map(gapText);
    const more = this.#gaps.length - lines.length;
    if (more > 0) lines.unshift(text.gap_more.replace("{count}", String(more)));
    if (isStalled) lines.push(text.stalled);
    const shown = lines.join("\n");
    if (this.#missing.dataset.shown === shown) return;
    this.#missing.dataset.shown = shown;
    fill(this.#missing, ...lines.map((line) => h("p", { class: "notice serious", "data-testid": "gap" }, line)));
  }

  #safety(): string {
    const { phase } = this.#recorder.state;
    if (phase === "recording" || phase === "starting") return "recording";
    if (phase === "failed") return "failed";
    const spools = this.#recorder.spools;
    if (spools.length === 0) return "idle";
    if (spools.some(({ state }) => state === "sealed")) return "uploading";
    return spools.some(({ state }) => state === "uploaded") ? "uploaded" : "safe";
  }

  #sentence(): string {
    const text = recorderWords().progress;
    const { state } = this.#recorder;
    switch (this.#safety()) {
      case "recording":
        return text.state_recording;
      case "failed":
        return text.state_failed.replace("{why}", state.phase === "failed" ? reasonOf(state.error) : "");
      case "uploading":
        return text.state_uploading;
      case "uploaded":
        return text.state_uploaded;
      case "safe":
        return text.state_safe;
      default:
        return text.state_idle;
    }
  }

  /** One line per person: the worst report about their sound or video. */
  #healthRows(): HTMLElement[] {
    const text = recorderWords().progress;
    if (this.#recorder.state.phase !== "recording") return [];
    const people = (this.#visitState?.roster ?? []).filter(({ role }) => role !== "recorder" && role !== "server");
    return people.map(({ participant, name }) => {
      const reports = [...this.#health.values()].filter((report) => report.participant === participant);
      // What does not arrive at all comes before what arrives badly.
      const bad = reports.filter(({ status }) => status !== "ok");
      const worst = bad.find(({ status }) => status !== "poor") ?? bad[0];
      const said = worst ? healthText(worst) : text.health_ok;
      return h(
        "li",
        { "data-testid": `health-${participant}`, "data-status": worst?.status ?? "ok" },
        icon(worst ? "warning" : "check"),
        " ",
        h("bdi", {}, name ?? ""),
        `: ${said}`,
      );
    });
  }
}

function healthText({ status, kind, cause }: HealthReport): string {
  const text = recorderWords().progress;
  if (status === "frozen") return text.health_frozen;
  if (status === "poor") return cause === "line" ? text.health_poor_line : text.health_poor_device;
  return kind === "audio" ? text.health_no_sound : text.health_no_picture;
}

function gapText({ reason, from_us, to_us }: RecordingGap): string {
  const text = recorderWords().progress;
  const said = reason === "no_sound" ? text.gap_no_sound : text.gap_nothing;
  const seconds = new Intl.NumberFormat(language(), { style: "unit", unit: "second", maximumFractionDigits: 1 });
  return said.replace("{at}", clock(from_us / 1_000_000)).replace("{length}", seconds.format((to_us - from_us) / 1e6));
}

function bar(spool: SpoolStatus): HTMLElement {
  const text = recorderWords().progress;
  const { sealed_bytes, uploaded_bytes, sealed_media_us, state, waiting } = spool;
  const label =
    state === "safe" ? text.safe : state === "uploaded" ? text.uploaded : `${text.sealed} → ${text.uploaded}`;
  return h(
    "div",
    { class: "stack", "data-testid": `spool-${spool.part}`, "data-state": state },
    h(
      "div",
      { class: "row spread small" },
      h("span", {}, icon(state === "safe" ? "shield" : "lock"), ` ${label}`),
      h("span", {}, text.length.replace("{length}", clock(sealed_media_us / 1_000_000))),
    ),
    h("progress", { max: Math.max(1, sealed_bytes), value: uploaded_bytes, "aria-label": text.uploaded }),
    h(
      "span",
      { class: "muted small" },
      text.bytes.replace("{done}", megabytes(uploaded_bytes)).replace("{all}", megabytes(sealed_bytes)),
    ),
    waiting &&
      h("p", { class: "small notice" }, text[`waiting_${waiting.why}`].replace("{method}", waiting.method ?? "")),
  );
}

function warningText(warning: SpoolWarning): string {
  const text = recorderWords().progress;
  switch (warning.kind) {
    case "in_memory":
      return text.warn_in_memory;
    case "storage_low":
      return text.warn_storage_low.replace("{megabytes}", String(Math.floor(warning.free_bytes / 1_000_000)));
    case "storage_full":
      return text.warn_storage_full;
    case "old_spool":
      return text.warn_old_spool.replace("{days}", String(warning.age_days));
  }
}

export function megabytes(bytes: number): string {
  return new Intl.NumberFormat(language(), { style: "unit", unit: "megabyte", maximumFractionDigits: 1 }).format(
    bytes / 1_000_000,
  );
}

/** Seconds as `1:02:03` or `2:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}
