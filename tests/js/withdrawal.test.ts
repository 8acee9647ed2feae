/** A withdrawal reaches the vault: tried again while the vault is away, told when it is refused. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import { postWithdrawal } from "../../js/withdrawal.js";

Object.assign(globalThis, { document: { baseURI: "http://127.0.0.1/" } });

const heard: { url: string | undefined; body: string }[] = [];
let answers: number[] = [];
let answer = '{"recordings":[]}';
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => {
    body += chunk.toString();
  });
  request.on("end", () => {
    heard.push({ url: request.url, body });
    const status = answers.shift() ?? 200;
    response.writeHead(status).end(status < 300 ? answer : '{"code":"statement_refused"}');
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
server.unref();
const vault = `http://127.0.0.1:${(server.address() as AddressInfo).port}/vault`;

afterEach(() => {
  heard.length = 0;
  answers = [];
});

test("it is posted as it is, below the vault's base", async () => {
  await postWithdrawal(vault, "a.b.c");
  assert.deepEqual(heard, [{ url: "/vault/v1/withdrawals", body: "a.b.c" }]);
});

test("a vault that is away, or has too much to do, is asked again", async () => {
  answers = [503, 429];
  await postWithdrawal(vault, "a.b.c");
  assert.equal(heard.length, 3);
});

test("a refusal is told, with the vault's code", async () => {
  answers = [403];
  await assert.rejects(postWithdrawal(vault, "a.b.c"), (error: { code?: string; detail?: unknown }) => {
    assert.equal(error.code, "vault-refused");
    assert.deepEqual(error.detail, { http_status: 403, vault_code: "statement_refused" });
    return true;
  });
  assert.equal(heard.length, 1);
});

test("a person is told that a recording is deleted when the vault says that nobody can open it, and not before", async () => {
  const cases = {
    none: [[], ["none"], ["deleted", "none"], ["declined"], ["requested", "declined"]],
    requested: [["requested"], ["granted"], ["deleted", "requested"], ["something new"]],
    deleted: [["deleted"], ["shares_destroyed"], ["deleted", "shares_destroyed"]],
  };
  for (const [deletion, all] of Object.entries(cases)) {
    for (const states of all) {
      answer = JSON.stringify({ recordings: states.map((state) => ({ recording: "r", deletion: state })) });
      assert.deepEqual(await postWithdrawal(vault, "a.b.c"), { deletion }, answer);
    }
  }
  // A vault that says nothing has promised nothing.
  answer = "";
  assert.deepEqual(await postWithdrawal(vault, "a.b.c"), { deletion: "none" });
});
