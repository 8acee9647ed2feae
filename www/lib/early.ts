/** Before a visit's time, and after it: when it is, in the person's own time zone, and a page that opens by itself. */
import { language } from "../strings/index.js";
import { troubleWords } from "../strings/trouble.js";
import { icon } from "sealed-visit/components";
import { fill, h } from "./dom.js";
import { showPage } from "./frame.js";
import type { VisitInfo } from "./link.js";
import { fullTime } from "./trouble.js";

/** The authority may move the visit, and this device may sleep. */
const LOOK_EVERY_MS = 30_000;

/** Shows when the visit is, until it opens. The authority's clock counts: it is the one that lets people in. */
export async function untilOpen(first: VisitInfo, look: () => Promise<VisitInfo | null>): Promise<VisitInfo> {
  let info = first;
  const draw = (main: HTMLElement) => {
    const { early } = troubleWords();
    const zone = Intl.DateTimeFormat(language(), { timeZoneName: "long" })
      .formatToParts(info.starts_ms)
      .find(({ type }) => type === "timeZoneName");
    fill(
      main,
      h(
        "section",
        { class: "card stack", role: "status", "data-testid": "early" },
        h("h1", {}, early.title),
        h("p", {}, icon("clock"), " ", h("strong", {}, early.when.replace("{when}", fullTime(info.starts_ms)))),
        h("p", {}, early.opens.replace("{opens}", fullTime(info.opens_ms))),
        h("p", { class: "small muted" }, early.zone.replace("{zone}", zone?.value ?? "")),
      ),
    );
    return early.title;
  };
  showPage(draw);
  while (isEarly(info)) {
    const left_ms = info.opens_ms - info.now_ms;
    await woken(Math.min(left_ms, LOOK_EVERY_MS));
    const next = await look();
    if (next && next.starts_ms !== info.starts_ms) {
      info = next;
      showPage(draw);
    }
    info = next ?? info;
  }
  return info;
}

export function isEarly({ now_ms, opens_ms }: VisitInfo): boolean {
  return now_ms < opens_ms;
}

/** After so long, or when somebody looks at the page again. */
function woken(after_ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(after_ms, 1_000));
    document.addEventListener("visibilitychange", done);
  });
}

/** For people who may come in well before the visit starts. */
export function startsLine({ starts_ms }: VisitInfo): HTMLElement {
  const line = h("p", { class: "notice", "data-testid": "starts" });
  const draw = () => {
    line.textContent = troubleWords().early.starts.replace("{when}", fullTime(starts_ms));
  };
  window.addEventListener("sv-page-language", draw);
  draw();
  return line;
}

export function showOver(): void {
  showPage((main) => {
    const { over } = troubleWords();
    fill(
      main,
      h("section", { class: "card stack", "data-testid": "over" }, h("h1", {}, over.title), h("p", {}, over.next)),
    );
    return over.title;
  });
}
