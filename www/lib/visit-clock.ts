/**
 * When the visit is booked to end and when it closes automatically: a permanent line, and timely warnings.
 *
 * Times are the authority's; a clock of this device that is wrong changes nothing.
 */
import { formatTime, icon } from "sealed-visit/components";
import { language, words } from "../strings/index.js";
import { fill, h } from "./dom.js";
import type { VisitInfo } from "./link.js";
import type { Notices } from "./notices.js";

export type VisitTimes = Pick<VisitInfo, "ends_ms" | "closes_ms" | "now_ms">;

const MINUTE_MS = 60_000;
/** Before it closes. */
const WARN_MINUTES = [10, 2];
const LOOK_EVERY_MS = 5_000;

export class VisitClock {
  readonly element = h("p", { class: "small muted", "data-testid": "visit-times" });

  readonly #times: VisitTimes;
  readonly #notices: Notices;
  /** On this device's clock, which goes on while it sleeps. */
  readonly #since_ms = Date.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #toldBooked: boolean;

  constructor(times: VisitTimes, notices: Notices) {
    this.#times = times;
    this.#notices = notices;
    this.#toldBooked = times.now_ms >= times.ends_ms;
    this.#timer = setInterval(() => this.draw(), LOOK_EVERY_MS);
    this.draw();
  }

  /** In the language of now. */
  draw(): void {
    const text = words().call;
    const { ends_ms, closes_ms, now_ms } = this.#times;
    // What the clock on the wall here shows at that moment.
    const here = (at_ms: number) => formatTime(at_ms - now_ms + this.#since_ms, language());
    const said = text.times.replace("{ends}", here(ends_ms)).replace("{closes}", here(closes_ms));
    if (this.element.textContent?.trim() !== said) fill(this.element, icon("clock"), ` ${said}`);
    const elapsed_ms = Date.now() - this.#since_ms;
    const left_ms = closes_ms - now_ms - elapsed_ms;
    if (!this.#toldBooked && now_ms + elapsed_ms >= ends_ms) {
      this.#toldBooked = true;
      this.#notices.flash(text.booked_over.replace("{closes}", here(closes_ms)));
    }
    const warned = WARN_MINUTES.filter((minutes) => left_ms <= minutes * MINUTE_MS).at(-1);
    const warning = text[warned === WARN_MINUTES[0] ? "closes_soon" : "closes_now"].replace(
      "{closes}",
      here(closes_ms),
    );
    // Changed at each step, not every minute: screen readers read it aloud.
    this.#notices.set("closing", warned === undefined ? null : warning, "serious");
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
