/** Names that pretend, hide or break out, as pages and recordings show them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lookAlikes, skeleton } from "../../../js/components/look-alikes.js";
import { shortened } from "../../../worker/compose/layout.js";
import { plainName, withPlainNames } from "../../../worker/plain-name.js";

test("control, zero-width and bidirectional characters never reach a screen", () => {
  for (const hidden of ["\u0000", "\n", "\u202e", "\u2066", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u061c"])
    assert.equal(plainName(`Ada${hidden}${hidden === "\n" ? "" : " "}Reyes`), "Ada Reyes", JSON.stringify(hidden));
  assert.equal(plainName("Ada\u{e0041}\u{e007f}"), "Ada", "tags");
  assert.equal(plainName("\u202eseyeR adA\u202c"), "seyeR adA");
  assert.equal(plainName("  Ada\u3000\u00a0Reyes "), "Ada Reyes");
});

test("of a name in which nothing can be seen nothing is left", () => {
  for (const name of ["", " ", "\u200b\u200b", "\u3164", "\u2800", "\ufe0f"]) assert.equal(plainName(name), null);
});

test("names of all scripts stay as they are", () => {
  for (const name of ["José Núñez", "Nguyễn Thị Hạnh", "محمد علي", "שָׁלוֹם", "佐藤 花子", "ประวิทย์", "O’Neill-Smith"])
    assert.equal(plainName(name), name.normalize("NFC"));
});

test("marks cannot be piled up, and a name has an end", () => {
  const piled = plainName(`A${"\u0327".repeat(50)}`) ?? "";
  assert.ok(piled.length <= 6, `${piled.length}`);
  assert.equal([...(plainName("😀".repeat(200)) ?? "")].length, 80);
});

test("everywhere a state names somebody, the name is plain", () => {
  const bad = "Ada\u202e";
  const state = withPlainNames({
    me: { name: bad },
    roster: [{ name: bad }, { name: null }],
    consent: { host_name: bad },
  } as never);
  assert.doesNotMatch(JSON.stringify(state), /\u202e/);
});

test("a name like that of somebody present is marked, whatever it is written in", () => {
  const ada = { participant: "ada", name: "Dr. Ada Reyes" };
  for (const name of [
    "Dr. Ada Reyes",
    "dr ada reyes",
    "Dr. Аda Rеуеs",
    "Dr. Ada Réyes",
    "DR ADA REYES",
    "Ｄｒ Ａｄａ Ｒｅｙｅｓ",
  ])
    assert.deepEqual([...lookAlikes([ada, { participant: "other", name }])], ["ada", "other"], name);
  assert.equal(skeleton("Bill"), skeleton("BiIl"));
  assert.equal(skeleton("Arnold"), skeleton("Amold"));
  for (const name of ["Dr. Eva Reyes", "Ada", null])
    assert.equal(lookAlikes([ada, { participant: "o", name }]).size, 0);
});

test("a long name on a recording's picture is cut, and the role is not", () => {
  const fits = (text: string) => text.length <= 24;
  assert.equal(shortened("Sam · patient", fits), "Sam · patient");
  const cut = shortened("Maximiliane von Hohenstein · patient", fits);
  assert.ok(fits(cut) && cut.startsWith("Maximil") && cut.endsWith("… · patient"), cut);
  assert.equal(shortened("A name without a role, and long", fits), "A name without a role,…");
  assert.equal(
    shortened("Sam · patient", () => false),
    "… · patient",
  );
});
