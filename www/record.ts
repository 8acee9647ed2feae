/** The visit record: what this person was asked, what they said, whether the visit was recorded. For keeping. */
import { formatDay, formatDays, icon, recipientName, stringsFor } from "sealed-visit/components";
import { copyButton } from "./lib/copy.js";
import { button, type Child, fill, h } from "./lib/dom.js";
import { showPage } from "./lib/frame.js";
import { laterLink } from "./lib/later.js";
import { type LoggedRound, storedLog, type VisitLog } from "./lib/visit-log.js";
import { language } from "./strings/index.js";
import { laterWords } from "./strings/later.js";
import { afterWords } from "./strings/after.js";

const log = storedLog();

showPage((main) => {
  const text = afterWords();
  fill(main, h("h1", {}, text.record), ...(log ? show(log) : [h("p", { class: "notice" }, text.none)]));
  return text.record;
});

function show(log: VisitLog): Child[] {
  const text = afterWords();
  return [
    h("p", { class: "no-print" }, text.lead),
    h(
      "section",
      { class: "card", "data-testid": "record" },
      h(
        "dl",
        { class: "facts" },
        ...facts(log).map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
      ),
    ),
    ...(log.rounds.length > 0 ? [h("h2", {}, text.answers), ...log.rounds.map((round) => roundCard(round))] : []),
    log.recorder_present.length > 0 && later(log),
    h(
      "div",
      { class: "row no-print" },
      button([icon("file"), text.download], {
        testid: "record-download",
        class: "primary",
        onclick: () => download(log),
      }),
      button(text.print, { testid: "record-print", onclick: () => print() }),
    ),
  ];
}

/** How to withdraw after the visit, and how to get a copy. */
function later(log: VisitLog): HTMLElement {
  const text = laterWords().record;
  const round = log.rounds.findLast((candidate) => candidate.later && candidate.withdrawn_ms === undefined);
  const link = round && laterLink(round, log.clinic.contact);
  return h(
    "section",
    { class: "card stack", "data-testid": "later" },
    h("h2", {}, text.later),
    link !== undefined && [
      h("p", {}, text.later_lead),
      h(
        "div",
        { class: "row" },
        h("a", { class: "button", href: link, "data-testid": "later-link" }, text.later_open),
        copyButton({
          testid: "later-copy",
          class: "no-print",
          text: link,
          label: text.later_copy,
          done: text.later_copied,
        }),
      ),
      h("p", { class: "small muted" }, text.later_private),
    ],
    h("p", { class: "notice" }, text.contact.replace("{contact}", log.clinic.contact)),
  );
}

function facts(log: VisitLog): [string, Child][] {
  const text = afterWords();
  const strings = stringsFor(language());
  const recorded = log.recorder_present.length > 0;
  const granted = log.rounds.findLast(({ answer }) => answer === "grant");
  const rows: [string, Child][] = [
    [text.clinic, log.clinic.name],
    [text.visit, h("code", {}, log.visit)],
    [text.when, span(log.started_ms, log.ended_ms)],
    [
      text.who,
      h("ul", {}, ...log.people.map(({ name, role }) => h("li", {}, h("bdi", {}, name), ` (${roleName(role)})`))),
    ],
    [
      text.recorded,
      recorded
        ? [
            text.recorded_yes,
            h("ul", {}, ...log.recorder_present.map(({ from_ms, to_ms }) => h("li", {}, span(from_ms, to_ms)))),
          ]
        : text.recorded_no,
    ],
  ];
  if (!recorded || !granted) return rows;
  return [
    ...rows,
    [text.purpose, strings.purpose_title[granted.purpose]],
    [text.keeper, log.clinic.name],
    [text.watch, h("ul", {}, ...granted.recipients.map(({ role }) => h("li", {}, recipientName(role, strings))))],
    [text.until, until(log, granted)],
  ];
}

function roundCard(round: LoggedRound): HTMLElement {
  const text = afterWords();
  const strings = stringsFor(language());
  const said =
    round.answer === "grant" ? text.said_grant : round.answer === "refusal" ? text.said_refusal : text.said_none;
  const own = round.texts.filter((candidate) => candidate.language === language());
  return h(
    "section",
    { class: "card stack" },
    h("h3", {}, strings.purpose_title[round.purpose]),
    h("p", {}, said.replace("{time}", round.answered_ms ? time(round.answered_ms) : "")),
    round.withdrawn_ms !== undefined &&
      h(
        "p",
        {},
        `${text.withdrew.replace("{time}", time(round.withdrawn_ms))} ${round.wish ? text[`wish_${round.wish}`] : ""}`,
      ),
    ...(own.length > 0 ? own : round.texts).map(({ layer, version, text: shown, hash }) =>
      h(
        "details",
        {},
        h(
          "summary",
          {},
          `${layer === "information" ? strings.consent.information_title : strings.consent.recording_title} – ${text.text.replace("{version}", version)}`,
        ),
        shown !== null && h("pre", { class: "text" }, shown),
        h("p", { class: "small muted" }, `${text.fingerprint}: `, h("code", {}, hash)),
      ),
    ),
  );
}

function until(log: VisitLog, { terms }: LoggedRound): string {
  const last_ms = log.recorder_present.at(-1)?.to_ms ?? log.ended_ms ?? Date.now();
  const ends_ms = last_ms + terms.retention_days * 86_400_000;
  return `${formatDay(ends_ms, language())} (${formatDays(terms.retention_days, language())})`;
}

function roleName(role: string): string {
  return (stringsFor(language()).role as Record<string, string>)[role] ?? role;
}

function time(at_ms: number): string {
  return new Intl.DateTimeFormat(language(), { timeStyle: "medium" }).format(at_ms);
}

function span(from_ms: number, to_ms: number | undefined): string {
  const format = new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "medium" });
  return afterWords()
    .from_to.replace("{from}", format.format(from_ms))
    .replace("{to}", to_ms ? format.format(to_ms) : "…");
}

function download(log: VisitLog): void {
  const links = log.rounds.flatMap((round) => (round.later ? [laterLink(round, log.clinic.contact)] : []));
  const kept = { ...log, withdraw_later: links };
  const url = URL.createObjectURL(new Blob([JSON.stringify(kept, null, 2)], { type: "application/json" }));
  h("a", { href: url, download: `visit-record-${log.visit}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
