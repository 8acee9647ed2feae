/** Every joining error says why and what to do, in both languages. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { errorCodes } from "../../js/errors.js";

Object.assign(globalThis, {
  location: { search: "", pathname: "/", hash: "" },
  window: new EventTarget(),
  document: { baseURI: "http://localhost/" },
  history: { replaceState: () => undefined },
  navigator: { languages: [] },
  customElements: { define: () => undefined, get: () => undefined },
  HTMLElement: class {},
});
const { reasonByCode } = await import("../../www/lib/trouble.js");
const { allTrouble } = await import("../../www/strings/trouble.js");
const { allInvitations } = await import("../../www/strings/invitations.js");

const read = (...parts: string[]) => readFileSync(path.join(import.meta.dirname, "..", "..", ...parts), "utf8");
const quoted = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, code]) => code ?? "");

/** Of calls that joining does not make: a scheduler's, a host's in the visit, a recorder's, an opened recording's. */
const notOfJoining = new Set([
  ...["bad_visit", "bad_passcode", "not_the_scheduler", "scheduler_only", "unknown_participant", "unknown_browser"],
  ...["recorder-unsupported", "recorder-not-in-group", "recorder-busy", "capture-failed", "vault-unreachable"],
  ...["vault-refused", "spool-full", "spool-busy", "receipt-invalid", "key-file-invalid", "wrong-passphrase"],
  ...["download-failed", "recording-invalid", "media-blocked"],
]);

test("every code of joining has words in both languages", () => {
  const authority = [
    ...quoted(read("crates", "authority", "src", "book.rs"), /BookError::\w+ => "([a-z_]+)"/g),
    ...quoted(read("crates", "authority", "src", "http.rs"), /StatusCode::\w+,\s*"([a-z_]+)",/g),
  ];
  assert.ok(authority.length > 18, "the authority's codes were not found where they were");
  const browsers = quoted(read("js", "support.ts"), /return no\(\s*"([a-z0-9-]+)"/g).filter(
    (code) => !["no-track-processor", "no-live-slices"].includes(code),
  );
  assert.ok(browsers.length >= 5, "the browsers' codes were not found where they were");
  const pages = quoted(read("www", "lib", "link.ts"), /"(bad_answer)"/g);
  for (const code of new Set([...authority, ...browsers, ...pages, ...errorCodes])) {
    if (notOfJoining.has(code)) assert.ok(!(code in reasonByCode), code);
    else assert.ok(reasonByCode[code], `${code} has no words`);
  }
});

test("both languages say everything, each in its own words, with the same places to fill in", () => {
  for (const [name, { en, es }] of Object.entries({ allTrouble, allInvitations })) {
    const left = flat(en);
    const right = flat(es);
    assert.deepEqual([...left.keys()], [...right.keys()], name);
    for (const [key, text] of left) {
      const other = right.get(key) ?? "";
      assert.notEqual(text, other, key);
      const places = (said: string) => quoted(said, /\{(\w+)\}/g).sort();
      assert.deepEqual(places(text), places(other), key);
    }
  }
});

test("what a person reads holds no code, and says what to do next", () => {
  for (const strings of Object.values(allTrouble))
    for (const [reason, text] of Object.entries(strings.reasons)) {
      assert.doesNotMatch(text, /[a-z]_[a-z]|\b\d{3}\b/, reason);
      assert.ok(text.split(/[.:] /).length >= 2 || reason === "passcode_needed", `${reason}: ${text}`);
    }
});

function flat(strings: object, prefix = ""): Map<string, string> {
  return new Map(
    Object.entries(strings).flatMap(([key, value]): [string, string][] =>
      typeof value === "string" ? [[prefix + key, value]] : [...flat(value, `${prefix}${key}.`)],
    ),
  );
}
