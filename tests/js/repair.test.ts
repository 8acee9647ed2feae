/** Links as they arrive: what is certain is repaired, and nothing is guessed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pageIn, visitLinkIn } from "../../www/lib/repair.js";

const visit = "fPyrCzxqcjw-foK_ld5-Bg";
const secret = "kKkDjUY2waUgxEX1DB9G-AkKkDjUY2waUgxEX1DB9G-";
const link = `visit=${visit}&secret=${secret}`;

const repaired: Record<string, string> = {
  "as it was sent": link,
  "with a period after it": `${link}.`,
  "in brackets": `${link})`,
  "in quotation marks": `${link}\u00bb`,
  "with a space after it": `${link}%20`,
  "with more words after it": `${link} or call us`,
  "with an escaped ampersand": link.replace("&", "&amp;"),
  "with a numeric ampersand": link.replace("&", "&#38;"),
  "quoted-printable": link.replaceAll("=", "=3D"),
  "quoted-printable, with a soft line break": link.replaceAll("=", "=3D").replace("ecret", "=\r\necret"),
  "broken into two lines": link.replace("UY2", "U\nY2"),
  "with an invisible space": link.replace("UY2", "U\u200bY2"),
  "encoded as a whole": encodeURIComponent(link),
  "encoded twice": encodeURIComponent(encodeURIComponent(link)),
  "after another parameter": `utm_source=mail&${link}`,
  "with parameters of a newsletter after it": `${link}&utm_source=mail`,
  "with a lone percent sign": `${link}%`,
};
for (const [how, text] of Object.entries(repaired)) {
  test(`a link ${how} opens its visit`, () => assert.deepEqual(visitLinkIn(text), { visit, secret }));
}

const damaged: Record<string, string> = {
  "whose secret lost its last character": link.slice(0, -1),
  "whose secret has one too many": `${link}A`,
  "that lost its secret": `visit=${visit}`,
  "whose visit lost a character": link.replace("fPyr", "fPy"),
  "that names another parameter": link.replace("secret", "secrets"),
};
for (const [how, text] of Object.entries(damaged)) {
  test(`a link ${how} is called damaged, and nothing is guessed`, () => assert.equal(visitLinkIn(text), "damaged"));
}

test("where there is no link, none is called damaged", () => {
  assert.equal(visitLinkIn(""), null);
  assert.equal(visitLinkIn("part=2"), null);
});

test("the page that was meant is found by its name, whatever stands around it", () => {
  for (const path of [
    ...["/Patient.html", "/PATIENT.HTML", "/patient", "/patient/", "/patient.htm", "/patient.html.", "/patient.html)"],
    ...[`/patient.html%23${link}`, `/clinic/patient.html%23${link}`, `/Patient.html%23${link}`, "/patient.html%C2%BB"],
  ])
    assert.equal(pageIn(path), "patient.html", path);
  assert.equal(pageIn(`/guest.html%2523${link}`), "guest.html");
  for (const path of ["/", "/none.html", "/outpatient.html", "/patient.html/../x", "/patient.js"])
    assert.equal(pageIn(path), null, path);
});
