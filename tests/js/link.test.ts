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
const iat = Math.floor(Date.now() / 1_000);
const pass = `a.${Buffer.from(JSON.stringify({ iat, exp: iat + 3_600 })).toString("base64url")}.b`;
/** What was asked, and what is answered next instead of a pass. */
const asked: { secret: string; credential: string }[] = [];
const answers: (() => Response | Promise<Response>)[] = [];
/** The credential of the last request. */
const credential = () => asked.at(-1)?.credential ?? "none";
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
  fetch: async (_: URL, { body }: { body: string }) => {
    asked.push(JSON.parse(body));
    return (await answers.shift()?.()) ?? Response.json({ pass, participant: "p", role: "patient" });
  },
});
const { forget, linkFromLocation, passFor, takeAway } = await import("../../www/lib/link.js");
const config = { authority_url: "/api" } as Parameters<typeof passFor>[0];
const request = { jwk: {}, nameCommitment: "n" } as Parameters<typeof passFor>[2];
const stored = () => JSON.stringify([{ ...local }, { ...session }]);
const isClean = () =>
  [visit, secret, credential()].every((kept) => !stored().includes(kept)) && Object.keys(local).length === 0;

async function redeem() {
  const link = linkFromLocation();
  assert.ok(link !== null && link !== "damaged");
  await passFor(config, link, request);
  assert.ok(stored().includes(credential()));
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
  assert.ok(stored().includes(credential()));
  const link = linkFromLocation();
  assert.ok(link !== null && link !== "damaged");
  const tooLate = await takeAway(link);
  page.dispatchEvent(new Event("pagehide"));
  tooLate();
  assert.equal(reloads, 1);
  assert.ok(isClean(), stored());
});

for (const [what, answer] of Object.entries({
  "got lost": () => Promise.reject(new TypeError("Failed to fetch")),
  "was cut off": () => new Response(`{"pass": "${pass.slice(0, 20)}`),
  "holds no pass": () => Response.json({}),
  "came from a server that had a problem": () => Response.json({ code: "storage" }, { status: 500 }),
})) {
  test(`an answer that ${what} is asked for again with the same credential, and nothing of it is stored`, async () => {
    const before = asked.length;
    answers.push(answer);
    const link = await redeem();
    const [first, second] = asked.slice(before);
    assert.equal(asked.length, before + 2);
    assert.deepEqual(first, second);
    assert.match(first?.credential ?? "", /^[\w-]{43}$/);
    assert.doesNotMatch(stored(), /undefined|null/);
    await forget(link);
  });
}

test("after a reload the same credential is sent, whether or not the answer ever arrived", async () => {
  answers.push(...Array.from({ length: 3 }, () => () => Promise.reject(new TypeError("Failed to fetch"))));
  await assert.rejects(redeem(), TypeError);
  const kept = credential();
  assert.ok(stored().includes(kept), "kept before it was asked");
  const link = await redeem();
  assert.equal(credential(), kept);
  await redeem();
  assert.equal(credential(), kept);
  await forget(link);
});

test("a refusal is told at once and asks nothing again", async () => {
  const before = asked.length;
  answers.push(() => Response.json({ code: "link_used", browser: "4821" }, { status: 410 }));
  await assert.rejects(redeem(), (error: { code: string; browser: string }) => {
    assert.deepEqual([error.code, error.browser], ["link_used", "4821"]);
    return true;
  });
  assert.equal(asked.length, before + 1);
  await forget({ visit, secret });
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
