/**
 * The words that people agree to, for each purpose, layer and language.
 *
 * A finished text stands for itself: who asks, why, who can watch, where and how long, what stopping does
 * and cannot do. The request names its hash, and a grant names the hash that was shown.
 *
 * No name of a person goes into a text: its hash travels outside the encryption. Where the host's own
 * words do, a random form number keeps the hash from being guessed.
 */
import { formatDay, formatDays, formatList, formatText } from "../components/format.js";
import { en as enStrings } from "../components/strings/en.js";
import { es as esStrings } from "../components/strings/es.js";
import { recipientName, type Strings } from "../components/strings/index.js";
import { type Layer, needsAuthorization, type Purpose, type Recipient, type Terms } from "../components/view.js";
import { en } from "./en.js";
import { es } from "./es.js";
import type { ConsentWording } from "./types.js";

/** A recipient from the clinic document, with the name that a deployment shows for it. */
export interface ClinicRecipient extends Recipient {
  /** Of an office or service, not of a patient; part of the text. */
  display_name?: string;
}

export interface ConsentTextOptions {
  purpose: Purpose;
  clinic: { name: string; contact: string };
  recipients: readonly ClinicRecipient[];
  terms: Terms;
  /** The host's own words for purpose `other`. */
  reason?: string;
  /** Why the question comes a second time. */
  asked_again_because?: string;
}

export interface WrittenText {
  layer: Layer;
  language: string;
  version: string;
  text: string;
}

const wordings: readonly ConsentWording[] = [en, es];
/** Independent of what a page has loaded: texts are written in all languages. */
const strings: Record<string, Strings> = { en: enStrings, es: esStrings };

/** The languages that the package ships texts in. */
export const consentLanguages: readonly string[] = wordings.map(({ language }) => language);

/** Writes both layers in every language asked for (all shipped ones by default). */
export function consentTexts(
  options: ConsentTextOptions,
  languages: readonly string[] = consentLanguages,
): WrittenText[] {
  if (options.purpose === "other" && !options.reason?.trim()) throw new Error('purpose "other" needs a reason');
  const needsExpiry = needsAuthorization(options.purpose) || options.terms.part2 === true;
  if (needsExpiry && options.terms.authorization_expires_ms === undefined)
    throw new Error("a written authorization needs terms.authorization_expires_ms");
  if (options.purpose === "ai_note" && options.terms.processor_retention_days === undefined)
    throw new Error('purpose "ai_note" needs terms.processor_retention_days');
  // One number for all languages: they are the same form.
  const reference = options.reason || options.asked_again_because ? crypto.randomUUID() : undefined;
  return wordings
    .filter(({ language }) => languages.includes(language))
    .flatMap((wording) =>
      (["information", "recording"] as const).map((layer) => ({
        layer,
        language: wording.language,
        version: wording.version,
        text: write(layer, wording, options, reference),
      })),
    );
}

function write(
  layer: Layer,
  wording: ConsentWording,
  options: ConsentTextOptions,
  reference: string | undefined,
): string {
  const { purpose, clinic, terms } = options;
  const values = {
    clinic: clinic.name,
    contact: clinic.contact,
    recipients: formatList(
      options.recipients.map(
        ({ role, display_name }) =>
          recipientName(role, strings[wording.language] ?? enStrings) + (display_name ? ` (${display_name})` : ""),
      ),
      wording.language,
    ),
    span: formatDays(terms.retention_days, wording.language),
    processor_span: formatDays(terms.processor_retention_days ?? 0, wording.language),
    expires: formatDay(terms.authorization_expires_ms ?? 0, wording.language),
  };
  const again = options.asked_again_because
    ? formatText(wording.asked_again, { words: oneLine(options.asked_again_because) })
    : undefined;
  const why =
    options.reason && purpose === "other"
      ? `${wording.why[purpose]}\n${formatText(wording.own_words, { words: oneLine(options.reason) })}`
      : wording.why[purpose];
  const blocks = layer === "information" ? informationBlocks(wording, options) : recordingBlocks(wording, options);
  const footer = reference ? formatText(wording.reference, { reference }) : undefined;
  // Values last, and the host's words not at all: they may hold braces.
  return [again, why, ...blocks.map((block) => formatText(block, values)), footer]
    .filter((block) => block !== undefined)
    .join("\n\n");
}

function informationBlocks(wording: ConsentWording, { purpose, terms }: ConsentTextOptions): string[] {
  const permission = needsAuthorization(purpose) ? wording.authorization : wording.acknowledgement;
  return [
    wording.use[purpose],
    ...(purpose === "ai_note" ? [wording.processor] : []),
    ...(terms.part2 ? [wording.part2] : []),
    // Part 2's elements are a written consent of their own; an authorization is due beside it where the purpose asks.
    ...(terms.part2 && permission === wording.acknowledgement ? [] : [permission]),
    wording.questions,
  ];
}

function recordingBlocks(wording: ConsentWording, { terms }: ConsentTextOptions): string[] {
  return [
    wording.recorded,
    wording.who_asks,
    wording.watch,
    wording.kept,
    wording.stopping[terms.on_withdrawal],
    wording.limits,
    wording.care,
  ];
}

/** Someone's own words must not look like a heading or a list of ours. */
function oneLine(words: string): string {
  return words.replace(/\s+/gu, " ").trim().slice(0, 300);
}
