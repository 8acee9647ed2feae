/** The short facts of a request, in front of the long texts: who, why, who watches, where, until when. */
import { h } from "./dom.js";
import { formatDay, formatDays, formatText } from "./format.js";
import { hostOf } from "./names.js";
import { recipientName, type Strings } from "./strings/index.js";
import type { ConsentRound, VisitView } from "./view.js";

export function consentFacts(
  round: Pick<ConsentRound, "purpose" | "host" | "host_name" | "recipients" | "terms">,
  view: Pick<VisitView, "roster" | "clinic">,
  strings: Strings,
  language: string,
): HTMLElement {
  const { purpose, recipients, terms } = round;
  const words = strings.consent;
  const until = [formatText(words.until_value, { span: formatDays(terms.retention_days, language) })];
  if (terms.processor_retention_days !== undefined)
    until.push(formatText(words.processor_until, { span: formatDays(terms.processor_retention_days, language) }));
  const withdrawing = { keep: words.withdrawing_keep, delete: words.withdrawing_delete, ask: words.withdrawing_ask };
  const facts: [string, (string | HTMLElement)[]][] = [
    [words.who, [h("bdi", {}, hostOf(round, view, strings)), `, ${view.clinic.name}`]],
    [words.why, [strings.purpose_title[purpose]]],
    [words.watch, [h("ul", {}, ...recipients.map(({ role }) => h("li", {}, recipientName(role, strings))))]],
    [words.where, [formatText(words.where_value, { clinic: view.clinic.name })]],
    [words.until, [until.join(" ")]],
    [words.withdrawing, [`${withdrawing[terms.on_withdrawal]} ${words.withdrawing_mixed}`]],
    [words.care, [words.care_value]],
  ];
  if (terms.authorization_expires_ms !== undefined)
    facts.splice(5, 0, [words.ends, [formatDay(terms.authorization_expires_ms, language)]]);
  return h(
    "dl",
    { class: "facts", part: "facts" },
    ...facts.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, ...value))),
  );
}
