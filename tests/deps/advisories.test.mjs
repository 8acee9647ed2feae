/** Known vulnerabilities in npm packages, where the registry answers the question. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { root } from "../../scripts/lib/paths.mjs";

test("npm audit finds nothing of high severity", (t) => {
  const { stdout } = spawnSync("npm", ["audit", "--json", "--audit-level=high"], { cwd: root, encoding: "utf8" });
  const answer = parse(stdout);
  if (!answer?.metadata?.vulnerabilities) {
    t.skip(
      `the registry in use here does not answer audits (${answer?.message ?? answer?.error?.summary ?? "no answer"})`,
    );
    return;
  }
  const { high, critical } = answer.metadata.vulnerabilities;
  assert.deepEqual({ high, critical }, { high: 0, critical: 0 }, JSON.stringify(answer.vulnerabilities, null, 1));
});

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
