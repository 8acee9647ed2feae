/** The start page: makes a visit and gives a link for each role. */
import { fragment } from "./lib/fragment.js";
import { copyButton } from "./lib/copy.js";
import { fill, h } from "./lib/dom.js";
import { reasonOf, showPage } from "./lib/frame.js";
import { AuthorityError, answerOf, linkFor } from "./lib/link.js";
import { words } from "./strings/index.js";
import { startWords } from "./strings/start.js";

interface MadeVisit {
  visit: string;
  links: { participant: string; role: string; secret: string }[];
}

const pages: Record<string, string> = {
  clinician: "clinician",
  patient: "patient",
  guest: "guest",
  interpreter: "guest",
  recorder: "recorder",
};
/** Kept in this tab for a reload. It shows the server that this page was started from the terminal. */
const STORED_START = "sealed-visit:start";
const startSecret = keepStartSecret();
let made: MadeVisit | undefined;
let failure: unknown;

showPage((main) => {
  const text = startWords();
  const links = h("section", {
    class: "card stack",
    "aria-live": "polite",
    "data-testid": "links",
    hidden: made === undefined,
  });
  const problem = h("p", { class: "error", role: "alert" }, failure === undefined ? "" : explain(failure));
  const minutes = h("input", { type: "number", min: 5, max: 480, value: 60, "data-testid": "visit-minutes" });
  const relative = h("input", { type: "checkbox", checked: true, "data-testid": "with-relative" });
  const interpreter = h("input", { type: "checkbox", "data-testid": "with-interpreter" });
  const colleague = h("input", { type: "checkbox", "data-testid": "with-colleague" });
  const recorder = h("input", { type: "checkbox", "data-testid": "with-recorder" });
  const make = async () => {
    failure = undefined;
    problem.textContent = "";
    try {
      const others = { guest: relative, interpreter, clinician: colleague, recorder };
      const roles = Object.entries(others).flatMap(([role, { checked }]) => (checked ? [role] : []));
      made = await makeVisit(Number(minutes.value) || 60, ["clinician", "patient", ...roles]);
      showLinks(links, made);
    } catch (error) {
      failure = error;
      problem.textContent = explain(error);
    }
  };
  fill(
    main,
    h("h1", {}, text.title),
    h(
      "form",
      {
        class: "card stack",
        onsubmit: (event) => {
          event.preventDefault();
          void make();
        },
      },
      h("p", {}, text.lead),
      h("label", { class: "field" }, h("span", {}, text.minutes), minutes),
      h("label", { class: "option" }, relative, h("span", {}, text.relative)),
      h("label", { class: "option" }, interpreter, h("span", {}, text.interpreter)),
      h("label", { class: "option" }, colleague, h("span", {}, text.colleague)),
      h("label", { class: "option" }, recorder, h("span", {}, text.recorder)),
      h("button", { type: "submit", class: "primary", "data-testid": "make-visit" }, made ? text.again : text.make),
      problem,
    ),
    links,
    h("p", {}, h("a", { href: "./playback.html", "data-testid": "to-playback" }, text.playback)),
  );
  if (made) showLinks(links, made);
  return text.title;
});

function explain(error: unknown): string {
  if (error instanceof AuthorityError && error.code === "not_the_scheduler") return startWords().no_start;
  return words().page.failed.replace("{why}", reasonOf(error));
}

function keepStartSecret(): string {
  try {
    const given = fragment.get("start");
    if (given !== null) sessionStorage.setItem(STORED_START, given);
    return given ?? sessionStorage.getItem(STORED_START) ?? "";
  } catch {
    // Storage is refused: a reload needs the address from the terminal again.
    return fragment.get("start") ?? "";
  }
}

/** The server in front of the authority adds the scheduler's token; this page never sees it. */
async function makeVisit(minutes: number, roles: readonly string[]): Promise<MadeVisit> {
  const starts_ms = Date.now();
  return answerOf<MadeVisit>(
    await fetch("/api/authority/v1/visits", {
      method: "POST",
      headers: { "content-type": "application/json", ...(startSecret !== "" && { "start-secret": startSecret }) },
      body: JSON.stringify({
        appointment: crypto.randomUUID(),
        starts_ms,
        ends_ms: starts_ms + minutes * 60_000,
        participants: roles.map((role) => ({ role })),
      }),
    }),
  );
}

function showLinks(section: HTMLElement, { visit, links }: MadeVisit): void {
  const text = startWords();
  section.hidden = false;
  fill(
    section,
    h("h2", {}, text.links),
    h("p", { class: "notice small" }, text.warn),
    ...links.map(({ role: what, secret }, index) => {
      const isSecond = links.findIndex(({ role }) => role === what) < index;
      const role = isSecond ? `${what}_2` : what;
      const url = linkFor(pages[what] ?? "guest", { visit, secret });
      const title = (text as Record<string, string>)[`role_${role}`] ?? role;
      const address = h("input", { readonly: true, value: url, "aria-label": title, "data-testid": `url-${role}` });
      return h(
        "div",
        { class: "stack" },
        h("h3", {}, title),
        address,
        h(
          "div",
          { class: "row" },
          copyButton({
            testid: `copy-${role}`,
            what: title,
            text: url,
            label: words().page.copy,
            done: words().page.copied,
            shown: address,
          }),
          h(
            "a",
            {
              class: "button",
              href: url,
              target: "_blank",
              rel: "noopener",
              "data-testid": `link-${role}`,
              "aria-label": `${text.open}: ${title}`,
            },
            text.open,
          ),
        ),
      );
    }),
  );
}
