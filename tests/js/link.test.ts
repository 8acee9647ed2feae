/** What a link leaves in a browser, and that nothing of it is left afterwards. */
import assert from "node:assert/strict";
import { test } from "node:test";

class MemoryStorage {
  [name: string]: unknown;
  getItem(name: string): string | null {
    return Object.hasOwn(this, name) ? String(this[name]) : null;
  }
  setItem(name: string, value: string): void {
    this[name] = value;
  }
  removeItem(name: string): void {
    delete this[name];
  }
}

const visit = "fPyrCzxqcjw-foK_ld5-Bg";
const secret = "kKkDjUY2waUgxEX1DB9G-AkKkDjUY2waUgxEX1DB9G-";
const local = new MemoryStorage();
const session = new MemoryStorage();
const page = new EventTarget();
let reloads = 0;
const exp_s = Math.floor(Date.now() / 1_000) + 3_600;
const pass = `a.${Buffer.from(JSON.stringify({ exp: exp_s })).toString("base64url")}.b`;
Object.assign(globalThis, {
  localStorage: local,
  sessionStorage: session,
  window: page,
  history: { replaceState: () => undefined },
  location: {
    ...{ hash: `#visit=${visit}&secret=${secret}`, pathname: "/patient.html", search: "" },
    reload: () => {
      reloads += 1;
    },
  },
  document: { baseURI: "http://localhost/patient.html" },
  fetch: async () => Response.json({ pass, credential: "the-credential" }),
});
const { forget, linkFromLocation, passFor, takeAway } = await import("../../www/lib/link.js");
const config = { authority_url: "/api" } as Parameters<typeof passFor>[0];
const request = { jwk: {}, nameCommitment: "n" } as Parameters<typeof passFor>[2];
const stored = () => JSON.stringify([{ ...local }, { ...session }]);
const isClean = () =>
  [visit, secret, "the-credential"].every((kept) => !stored().includes(kept)) && Object.keys(local).length === 0;

async function redeem() {
  const link = linkFromLocation();
  assert.ok(link !== null && link !== "damaged");
  await passFor(config, link, request);
  assert.match(stored(), /the-credential/);
  return link;
}

test("when a visit is over, neither the link nor the credential is left in storage", async () => {
  await forget(await redeem());
  assert.ok(isClean(), stored());
});

test("whoever left takes both along, and comes back from that page only", async () => {
  const comeBack = await takeAway(await redeem());
  assert.ok(isClean(), stored());
  comeBack();
  assert.equal(reloads, 1);
  assert.match(stored(), /the-credential/);
  const link = linkFromLocation();
  assert.ok(link !== null && link !== "damaged");
  const tooLate = await takeAway(link);
  page.dispatchEvent(new Event("pagehide"));
  tooLate();
  assert.equal(reloads, 1);
  assert.ok(isClean(), stored());
});

test("a credential that nobody took away goes when its visit has closed", async () => {
  local.setItem(
    "sealed-visit:credential:old",
    JSON.stringify({ credential: "the-credential", until_ms: Date.now() - 1 }),
  );
  local.setItem("sealed-visit:credential:older", "the-credential");
  local.setItem("sealed-visit:language", "es");
  linkFromLocation();
  assert.deepEqual(Object.keys(local), ["sealed-visit:language"]);
});
