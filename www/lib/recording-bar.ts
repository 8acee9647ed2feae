/**
 * The recording's controls, under the indicator. While a recorder is in the roster, everyone has
 * “Stop being recorded” and “Pause recording”.
 */
import { icon, type IconName, recorderInRoster } from "sealed-visit/components";
import type { VisitState } from "sealed-visit";
import { words } from "../strings/index.js";
import { mediaWords } from "../strings/media.js";
import { fill, h } from "./dom.js";
import type { ResumeState } from "./resume.js";

export interface RecordingActions {
  withdraw(event: Event): void;
  pause(): void;
  start(): void;
  resume(): void;
  stop(): void;
  askAgain(): void;
  answerResume(agrees: boolean): void;
}

export interface RecordingBarView {
  isHost: boolean;
  resume: ResumeState;
  canAskAgain: boolean;
  /** Whether there is sound or picture to record. */
  mediaFlows: boolean;
}

const WHY_NOT = "cannot-record";

export class RecordingBar {
  readonly element = h("div", { class: "recording-bar", role: "group", "data-testid": "recording-bar" });

  readonly #actions: RecordingActions;
  readonly #status = h("p", { role: "status", class: "countdown" });
  readonly #buttons = h("div", { class: "row" });
  #shown = "";

  constructor(actions: RecordingActions) {
    this.#actions = actions;
    fill(this.element, this.#buttons, this.#status);
  }

  update(state: VisitState, { isHost, resume, canAskAgain, mediaFlows }: RecordingBarView): void {
    const text = words().recording;
    const present = recorderInRoster(state);
    const paused = !present && state.indicator.kind === "paused";
    const ready = !present && !paused && state.consent?.all_agreed === true;
    const shown = JSON.stringify([present, paused, ready, isHost, resume, canAskAgain, mediaFlows, text.withdraw]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = this.element.contains(document.activeElement)
      ? document.activeElement?.getAttribute("data-testid")
      : null;
    this.element.setAttribute("aria-label", text.bar);
    const { withdraw, pause, start, resume: askResume, stop, askAgain, answerResume } = this.#actions;
    const resumes = resume.kind === "asked" || resume.kind === "countdown";
    const starts = isHost && (ready || (paused && !resumes));
    fill(
      this.#buttons,
      present && [
        control("stopped", text.withdraw, "withdraw", "withdraw", withdraw),
        control("paused", text.pause, "pause-recording", "", pause),
      ],
      resume.kind === "countdown" && control("paused", text.resume_stop, "resume-stop", "", pause),
      starts && ready && control("recording", text.start, "start-recording", "primary", start, mediaFlows),
      starts && paused && control("recording", text.resume, "resume-recording", "primary", askResume, mediaFlows),
      starts &&
        !mediaFlows &&
        h("p", { class: "notice", id: WHY_NOT, "data-testid": "cannot-record" }, mediaWords().cannot_record),
      isHost && (present || paused) && control("cross", text.stop, "stop-recording", "", stop),
      isHost && canAskAgain && control("recording", text.asking_again, "ask-again", "", askAgain),
      resume.kind === "question" && [
        h("p", { class: "notice" }, text.resume_question),
        control("check", text.resume_yes, "resume-yes", "", () => answerResume(true)),
        control("cross", text.resume_no, "resume-no", "", () => answerResume(false)),
      ],
    );
    const status = statusOf(resume);
    if (this.#status.textContent !== status) this.#status.textContent = status;
    this.element.hidden = this.#buttons.childElementCount === 0 && status === "";
    if (focused) this.element.querySelector<HTMLElement>(`[data-testid="${focused}"]`)?.focus();
  }
}

function statusOf(resume: ResumeState): string {
  const text = words().recording;
  switch (resume.kind) {
    case "countdown":
      return text.resume_in.replace("{seconds}", String(resume.seconds));
    case "asked":
      return text.resume_asked;
    case "declined":
      return text.resume_declined;
    default:
      return "";
  }
}

function control(
  sign: IconName,
  label: string,
  testid: string,
  look: string,
  onclick: (event: Event) => void,
  isAble = true,
): HTMLElement {
  const how = isAble ? { onclick } : { disabled: true, "aria-describedby": WHY_NOT };
  return h("button", { type: "button", class: look, "data-testid": testid, ...how }, icon(sign), label);
}
