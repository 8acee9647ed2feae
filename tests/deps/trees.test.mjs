/** Who is linked with what: the servers hold nothing that could open a frame or a recording. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { dependencyGraph } from "./metadata.mjs";

const openers = /^(sframe|hpke|sealed-visit|mls-rs(-.*)?)$/;
const graph = await dependencyGraph();

function namesIn(packageName) {
  return graph.normalTree(packageName).map(({ name }) => name);
}

for (const server of ["sealed-visit-relay", "sealed-visit-vault", "sealed-visit-authority"]) {
  test(`${server} is linked with neither the core nor SFrame, MLS or HPKE`, () => {
    const names = namesIn(server);
    assert.ok(names.includes("sealed-visit-protocol"), "the walk reaches the protocol");
    assert.deepEqual(
      names.filter((name) => openers.test(name)),
      [],
    );
  });
}

test("the clinic tool is linked with core and HPKE: the walk would find them", () => {
  const names = namesIn("sealed-visit-cli");
  assert.ok(names.includes("sealed-visit"));
  assert.ok(names.includes("hpke"));
});

test("the protocol knows no cipher", () => {
  const ciphers = /^(aes-gcm|aes|chacha20poly1305|sframe|hpke|mls-rs.*|x25519-dalek|ml-kem|x-wing)$/;
  assert.deepEqual(
    namesIn("sealed-visit-protocol").filter((name) => ciphers.test(name)),
    [],
  );
});

test("what patients download holds one generation of each cryptographic crate", async () => {
  const wasm = await dependencyGraph({ platform: "wasm32-unknown-unknown" });
  const cryptographic =
    /^(aes|aes-gcm|hkdf|hmac|sha2|digest|ed25519-dalek|x25519-dalek|curve25519-dalek|getrandom|rand_core|zeroize)$/;
  const versions = new Map();
  for (const { name, version } of wasm.normalTree("sealed-visit")) {
    if (cryptographic.test(name)) versions.set(name, [...(versions.get(name) ?? []), version]);
  }
  assert.ok(versions.size >= 8, `only ${[...versions.keys()]} found`);
  assert.deepEqual(
    [...versions].filter(([, all]) => all.length > 1),
    [],
  );
});

test("the core has no runtime, socket, disk or clock crate", () => {
  const forbidden = /^(tokio|async-std|mio|socket2|reqwest|hyper|axum|chrono|time|instant|web-time)$/;
  assert.deepEqual(
    namesIn("sealed-visit").filter((name) => forbidden.test(name)),
    [],
  );
});

test("servers unwind from a panic, what browsers run does not", () => {
  const profile = (name) => readFileSync(inRoot("Cargo.toml"), "utf8").split(`[profile.${name}]\n`)[1].split("\n[")[0];
  assert.doesNotMatch(profile("release"), /^panic/m);
  for (const name of ["wasm-size", "wasm-speed"]) assert.match(profile(name), /^panic = "abort"$/m);
});
