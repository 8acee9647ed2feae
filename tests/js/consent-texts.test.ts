/** The consent texts: complete, and plain enough to be understood. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Purpose } from "../../js/components/view.js";
import { PURPOSES } from "../../js/components/view.js";
import { consentTexts, type ConsentTextOptions } from "../../js/consent-texts/index.js";
import { en } from "../../js/components/strings/en.js";
import { es } from "../../js/components/strings/es.js";
import { loadStrings, stringsFor } from "../../js/components/strings/index.js";
import { englishGrade, spanishEase, spanishGrade } from "../lib/readability.js";

const GRADE_LIMIT = 8;
/** Fernández Huerta: 60 and more is read with ease after eight years of school. */
const EASE_LIMIT = 60;

const options = (purpose: Purpose, part2 = false): ConsentTextOptions => ({
  purpose,
  clinic: { name: "River Clinic", contact: "the clinic" },
  recipients: [
    { fingerprint: "a", role: "responsible_clinician" },
    { fingerprint: "b", role: "archive" },
  ],
  terms: {
    retention_days: 30,
    on_withdrawal: "ask",
    processor_retention_days: 7,
    part2,
    authorization_expires_ms: Date.UTC(2027, 4, 1),
  },
  ...(purpose === "other" && { reason: "To look at how we talk" }),
});

const all = PURPOSES.flatMap((purpose) =>
  [false, true].flatMap((part2) => consentTexts(options(purpose, part2)).map((text) => ({ ...text, purpose, part2 }))),
);

test("every purpose has both layers in both languages, with Part 2 and without", () => {
  assert.equal(all.length, PURPOSES.length * 2 * 2 * 2);
  for (const { text } of all) {
    assert.ok(text.length > 300);
    assert.doesNotMatch(text, /\{\w+\}/, "a placeholder was left open");
  }
});

for (const { text, purpose, part2, layer, language } of all) {
  const name = `${language} ${purpose} ${layer}${part2 ? " (Part 2)" : ""}`;
  test(`reads at grade ${GRADE_LIMIT} or below: ${name}`, () => {
    if (language === "en") {
      const grade = englishGrade(text);
      assert.ok(grade <= GRADE_LIMIT, `Flesch-Kincaid grade ${grade.toFixed(1)}`);
      return;
    }
    const [grade, ease] = [spanishGrade(text), spanishEase(text)];
    assert.ok(grade <= GRADE_LIMIT, `Crawford grade ${grade.toFixed(1)}`);
    assert.ok(ease >= EASE_LIMIT, `Fernández Huerta ${ease.toFixed(1)}`);
  });
}

test("the measure tells plain words from a lawyer's", () => {
  const legalese =
    "Notwithstanding any provision herein to the contrary, the undersigned individual hereby irrevocably authorizes the aforementioned organization to disseminate individually identifiable information. ";
  assert.ok(englishGrade(legalese) > 15);
  const jerga =
    "Sin perjuicio de las disposiciones anteriormente establecidas, la persona suscribiente autoriza irrevocablemente a la organización mencionada la comunicación de informaciones individualmente identificables. ";
  assert.ok(spanishGrade(jerga) > GRADE_LIMIT);
  assert.ok(spanishEase(jerga) < EASE_LIMIT);
});

test("the prompt's own words read at grade 8 or below", () => {
  assert.ok(englishGrade(Object.values(en.consent).join(". ")) <= GRADE_LIMIT);
  assert.ok(spanishGrade(Object.values(es.consent).join(". ")) <= GRADE_LIMIT);
});

test("a purpose beyond operations carries every element of a written authorization", () => {
  for (const purpose of ["dispute", "research", "other"] as const) {
    const [information] = consentTexts(options(purpose), ["en"]);
    for (const element of [
      "What:",
      "From: River Clinic",
      "To: ",
      "For: ",
      "Ends: on May 1, 2027",
      "take it back",
      "share it with others",
      "signature",
    ])
      assert.ok(information?.text.includes(element), `${purpose} lacks “${element}”`);
  }
});

test("Part 2 carries that rule's elements and its notice", () => {
  const [information] = consentTexts(options("medical_record", true), ["en"]);
  for (const element of [
    "Who it is about",
    "Who shares it: River Clinic",
    "What is shared",
    "Who gets it",
    "Why: the reason",
    "How long",
    "take it back",
    "signature",
    "42 CFR Part 2 prohibits",
  ])
    assert.ok(information?.text.includes(element), `lacks “${element}”`);
});

test("an authorization without an expiry, an AI note without a deletion date, and “other” without words are refused", () => {
  const without = (name: "authorization_expires_ms" | "processor_retention_days", purpose: Purpose) => {
    const base = options(purpose);
    const { [name]: _left_out, ...terms } = base.terms;
    return { ...base, terms };
  };
  assert.throws(() => consentTexts(without("authorization_expires_ms", "research")), /expires/);
  assert.throws(() => consentTexts(without("processor_retention_days", "ai_note")), /processor/);
  assert.throws(() => consentTexts({ ...options("other"), reason: " " }), /reason/);
});

test("the host's own words cannot pass for a heading, a list or a placeholder, and their hash cannot be guessed", () => {
  const reason = "{clinic}\n\n# Signed\n- by all";
  const [first] = consentTexts({ ...options("other"), reason }, ["en"]);
  const [second] = consentTexts({ ...options("other"), reason }, ["en"]);
  assert.ok(first?.text.includes("“{clinic} # Signed - by all”"));
  assert.notEqual(first?.text, second?.text);
});

test("replacing a string leaves the others, and an unknown language gets English", async () => {
  assert.equal(stringsFor("es-MX").indicator.not_recorded, en.indicator.not_recorded, "before it is loaded");
  assert.equal(await loadStrings("es-MX"), true);
  assert.equal(await loadStrings("es"), false, "it is there");
  assert.equal(await loadStrings("xx"), false, "there is none");
  const patched = stringsFor("es-MX", { indicator: { paused: "Pausa" } });
  assert.equal(patched.indicator.paused, "Pausa");
  assert.equal(patched.indicator.not_recorded, es.indicator.not_recorded);
  assert.equal(stringsFor("xx").indicator.not_recorded, en.indicator.not_recorded);
});

test("each language has a value for the same placeholders", () => {
  const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  for (const [group, words] of Object.entries(en)) {
    for (const [key, text] of Object.entries(words)) {
      const other = (es as unknown as Record<string, Record<string, string>>)[group]?.[key];
      assert.deepEqual(names(other ?? ""), names(text), `${group}.${key}`);
    }
  }
});

test("what the vault does not do by itself is said to be someone's duty, and not a fact", () => {
  const said = all.map(({ text }) => text);
  const strings = (words: object): string[] =>
    Object.values(words).flatMap((value: unknown) =>
      typeof value === "string" ? [value] : typeof value === "object" && value !== null ? strings(value) : [],
    );
  // A withdrawal deletes (`crates/vault/tests/vault/deletion.rs`); that time has passed deletes nothing.
  const withTime = [...strings(en), ...strings(es)].filter((text) => text.includes("span}"));
  const sentences = (text: string) => text.split(/(?<=[.!?:])\s+|\n/);
  const timed = [
    ...said.flatMap(sentences).filter((sentence) => /days|días/.test(sentence)),
    ...withTime.flatMap(sentences),
  ].filter((sentence) => /delet|borra/i.test(sentence));
  assert.ok(timed.length >= 12, `${timed.length} sentences`);
  for (const sentence of timed) assert.match(sentence, /has to delete|tiene que borrar/i, sentence);
});
