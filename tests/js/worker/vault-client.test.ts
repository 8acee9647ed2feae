import assert from "node:assert/strict";
import { test } from "node:test";
import { VaultClient, type VaultError } from "../../../worker/recording/vault-client.js";

const part = { recording: "AAAAAAAAAAAAAAAAAAAAAA", part: 0 };

function vaultThat(answers: (method: string, override: string | null) => Response) {
  const seen: string[] = [];
  const vault = new VaultClient("https://vault.example/", async (_url, init) => {
    const override = new Headers(init?.headers).get("X-HTTP-Method-Override");
    seen.push(override ? `${init?.method} ${override}` : String(init?.method));
    return answers(init?.method ?? "", override);
  });
  return { seen, store: () => vault.storeEnvelope(part, "token", "BBBBBBBBBBBBBBBBBBBBBB", "a.b.c") };
}

test("where PUT is refused on the way, POST says that it means PUT", async () => {
  const { seen, store } = vaultThat((method) => new Response(null, { status: method === "PUT" ? 405 : 204 }));
  await store();
  assert.deepEqual(seen, ["PUT", "POST PUT"]);
});

test("where that is refused too, the error names the method", async () => {
  const { store } = vaultThat(() => new Response(null, { status: 405 }));
  await assert.rejects(store(), (error: VaultError) => error.code === "method_refused" && /PUT/.test(error.message));
});

test("a redirect of the vault's URL is called one, and is not followed", async () => {
  const { seen, store } = vaultThat(
    () => new Response(null, { status: 301, headers: { Location: "https://x.example/" } }),
  );
  await assert.rejects(store(), (error: VaultError) => error.code === "redirected" && /redirected/.test(error.message));
  assert.deepEqual(seen, ["PUT"]);
});
