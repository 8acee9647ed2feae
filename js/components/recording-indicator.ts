/**
 * `<recording-indicator>`: whether this visit is recorded, in words and a shape, always.
 *
 * It has no close button and no setting that hides it. The live region exists before its text changes,
 * and its text changes only with the state, so that a screen reader says each change once.
 *
 * Property `view`: the visit's state. Attribute `sound`: a short tone at each change that concerns recording.
 */
import { h, replaceChildren } from "./dom.js";
import { VisitElement } from "./element.js";
import { formatText, formatTime } from "./format.js";
import { type IconName, icon } from "./icons.js";
import type { Strings } from "./strings/index.js";
import type { Indicator, VisitView } from "./view.js";

const css = `
:host { display: block; }
.banner {
  display: flex; align-items: center; gap: 0.6em; padding: 0.6em 1em;
  border-radius: var(--sv-indicator-radius, var(--_radius)); border: 2px solid var(--_strong-line);
  background: var(--_surface); font-weight: 600;
}
.banner.recording { background: var(--_alert); color: var(--_on-alert); border-color: var(--_alert); }
.banner.recorder_present { background: var(--_notice); border-color: var(--_alert); border-style: dashed; }
.banner.paused { background: var(--_notice); }
.icon { inline-size: 1.6em; block-size: 1.6em; }
@media (max-height: 36rem) {
  .banner { padding: 2px 0.6em; max-block-size: 25dvh; overflow: auto; font-size: 0.85rem; line-height: 1.25; }
}
`;

const shapes: Record<Indicator["kind"], IconName> = {
  not_recorded: "not_recorded",
  recording: "recording",
  recorder_present: "recorder_present",
  paused: "paused",
  stopped_by_you: "stopped",
  stopped: "stopped",
};

export class RecordingIndicatorElement extends VisitElement {
  static override readonly observedAttributes = ["lang", "sound"];

  readonly #shape = h("span", { class: "shape" });
  readonly #words = h("span", { role: "status", "aria-live": "polite", part: "text" });
  readonly #banner = h(
    "div",
    { class: "banner", part: "banner", "data-testid": "indicator" },
    this.#shape,
    this.#words,
  );
  #indicator: Indicator = { kind: "not_recorded" };

  constructor() {
    super(css);
    this.root.append(this.#banner);
  }

  set view(view: Pick<VisitView, "indicator">) {
    const before = this.#indicator.kind;
    this.#indicator = view.indicator;
    this.refresh();
    if (
      before !== view.indicator.kind &&
      this.hasAttribute("sound") &&
      navigator.userActivation?.hasBeenActive !== false
    )
      void playChange(view.indicator.kind);
  }

  /** The words that stand on the screen. */
  get text(): string {
    return this.#words.textContent;
  }

  protected override render(): void {
    const indicator = this.#indicator;
    this.drawIfChanged([indicator, this.strings.indicator], () => {
      this.#banner.className = `banner ${indicator.kind}`;
      this.#banner.dataset.kind = indicator.kind;
      replaceChildren(this.#shape, icon(shapes[indicator.kind]));
      this.#words.textContent = words(indicator, this.strings, this.language);
    });
  }
}

function words(indicator: Indicator, strings: Strings, language: string): string {
  switch (indicator.kind) {
    case "recording":
      return formatText(strings.indicator.recording, {
        purpose: strings.purpose[indicator.purpose],
        time: formatTime(indicator.since_ms, language),
      });
    case "paused":
      return indicator.by_me ? strings.indicator.paused_by_me : strings.indicator.paused;
    default:
      return strings.indicator[indicator.kind];
  }
}

/** Two rising tones when a recorder comes, two falling when it goes. */
async function playChange(kind: Indicator["kind"]): Promise<void> {
  const context = new AudioContext();
  const rising = kind === "recording" || kind === "recorder_present";
  for (const [index, hertz] of (rising ? [520, 780] : [780, 520]).entries()) {
    const tone = new OscillatorNode(context, { frequency: hertz });
    const volume = new GainNode(context, { gain: 0.08 });
    tone.connect(volume).connect(context.destination);
    tone.start(context.currentTime + index * 0.18);
    tone.stop(context.currentTime + index * 0.18 + 0.15);
  }
  await new Promise((resolve) => setTimeout(resolve, 600));
  await context.close();
}
