/**
 * Why somebody could not come in, in that person's words, with what to do next; the code stands in small print, for
 * whoever helps. And waiting, where the clinic can still let this browser in.
 */
import { language } from "../strings/index.js";
import { type Reason, troubleWords } from "../strings/trouble.js";
import { fill, h } from "./dom.js";
import { AuthorityError } from "./link.js";

/** Every code that joining can fail with. */
export const reasonByCode: Readonly<Record<string, Reason>> = {
  // The authority's.
  link_used: "link_used",
  unknown_visit: "link_unknown",
  unknown_link: "link_unknown",
  unknown_credential: "link_unknown",
  too_early: "early",
  over: "over",
  ended: "over",
  passcode_needed: "passcode_needed",
  wrong_passcode: "passcode_wrong",
  link_locked: "passcode_locked",
  locked: "locked",
  too_many_attempts: "busy",
  too_many_requests: "busy",
  storage: "server",
  bad_answer: "garbled",
  bad_credential: "not_let_in",
  not_the_host: "not_let_in",
  // The package's.
  aborted: "stopped",
  closed: "stopped",
  "worker-failed": "page",
  "wasm-load-failed": "page",
  "core-panicked": "broken",
  "not-prepared": "broken",
  "clock-wrong": "clock",
  "pass-refused": "not_let_in",
  "relay-refused": "not_let_in",
  "relay-unreachable": "unreachable",
  "replaced-by-another": "elsewhere",
  "visit-over": "over",
  "media-failed": "broken",
  "codec-unsupported": "browser",
  "transform-attached-late": "broken",
  "transform-unsupported": "browser",
  "bad-argument": "setup",
  internal: "broken",
  // Of a browser that cannot take part (`support()`).
  "insecure-context": "setup",
  "no-wasm": "browser",
  "no-wasm-simd": "browser",
  "no-webrtc": "browser",
  "no-encoded-transform": "browser",
};

interface Failure {
  readonly code: string;
  readonly detail?: unknown;
}

function failureOf(error: unknown): Failure {
  // `getPass` failed: its error is the cause of the package's.
  const cause = error instanceof Error && error.cause instanceof AuthorityError ? error.cause : error;
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause as Error & Failure;
  // What `fetch` throws when there was no answer.
  return { code: cause instanceof TypeError ? "offline" : "internal" };
}

function reasonFor(code: string): Reason {
  if (code === "offline") return "offline";
  if (/^http-5/.test(code)) return "server";
  if (/^http-/.test(code)) return "not_let_in";
  return reasonByCode[code] ?? "broken";
}

/** What to show for an error of joining. */
export function explain(error: unknown): Node[] {
  const { code, detail } = failureOf(error);
  const text = troubleWords();
  const { now_ms } = (detail ?? {}) as { now_ms?: number };
  const said = text.reasons[reasonFor(code)].replace("{now}", now_ms === undefined ? "" : fullTime(now_ms));
  return [h("span", { "data-testid": "why" }, said), smallPrint(code)];
}

function smallPrint(code: string): HTMLElement {
  return h("span", { class: "small muted error-code" }, troubleWords().code.replace("{code}", code));
}

/** With date and time zone: nobody has to guess whose time it is. */
export function fullTime(at_ms: number): string {
  const options = {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
    hour: "numeric",
    minute: "2-digit",
  };
  return new Intl.DateTimeFormat(language(), {
    ...(options as Intl.DateTimeFormatOptions),
    timeZoneName: "short",
  }).format(at_ms);
}

const ASK_EVERY_MS = 5_000;

/**
 * The clinic can approve this browser, or unlock the visit: shows what is going on and asks until that happened. Resolves
 * with the pass; throws what cannot be waited for.
 */
export async function waitForClinic(first: unknown, ask: () => Promise<string>, place: HTMLElement): Promise<string> {
  let error = first;
  const show = () => {
    const { held } = troubleWords();
    const { code, browser } = error as AuthorityError;
    fill(
      place,
      h("span", {}, code === "locked" ? held.locked : held.link_used),
      browser !== undefined && h("strong", { class: "code", "data-testid": "browser-code" }, browser),
      h("span", { class: "small" }, held.waiting),
    );
  };
  window.addEventListener("sv-page-language", show);
  try {
    for (;;) {
      if (!isWorthWaiting(error)) throw error;
      show();
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
      try {
        return await ask();
      } catch (next) {
        // A line that is gone for a moment, or a busy server, ends no waiting.
        const isPassing = next instanceof TypeError || (next instanceof AuthorityError && next.status >= 429);
        if (!isPassing) error = next;
      }
    }
  } finally {
    window.removeEventListener("sv-page-language", show);
    fill(place);
  }
}

/** Without a code nobody can approve this browser. */
function isWorthWaiting(error: unknown): boolean {
  if (!(error instanceof AuthorityError)) return false;
  return error.code === "locked" || (error.code === "link_used" && error.browser !== undefined);
}
