/**
 * Consent texts as data: one object for each language, with the same keys in each.
 *
 * `{name}` stands for a value that [`consentTexts`](./index.ts) puts in. Lines that start with `# ` are
 * headings, with `- ` list items; an empty line ends a paragraph. The finished text's UTF-8 bytes are
 * hashed and signed, so whatever changes a word here needs a new `version`.
 */
import type { Purpose, WithdrawalPolicy } from "../components/view.js";

export interface ConsentWording {
  /** BCP 47. */
  language: string;
  /** Grows with every change of a word. */
  version: string;
  /** What each purpose means, after a heading that asks why. */
  why: Record<Purpose, string>;
  /** Which health information is used, and how, for each purpose. */
  use: Record<Purpose, string>;
  /** How a person's own words are shown: `{words}`. */
  own_words: string;
  /** Why the question comes a second time: `{words}`. */
  asked_again: string;
  /** For treatment, payment and operations: acknowledged. */
  acknowledgement: string;
  /** Beyond them: a written authorization with its elements (45 CFR 164.508(c)). */
  authorization: string;
  /** The elements of 42 CFR 2.31 and the notice of 42 CFR 2.32. */
  part2: string;
  processor: string;
  recorded: string;
  who_asks: string;
  watch: string;
  kept: string;
  stopping: Record<WithdrawalPolicy, string>;
  limits: string;
  care: string;
  questions: string;
  /** Ties a text with someone's own words to one request, so that its hash cannot be guessed. */
  reference: string;
}
