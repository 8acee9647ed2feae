/** Which crate uses which, and who is linked with what: the servers hold nothing that could open a frame or a recording. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { capture } from "../../scripts/lib/run.mjs";
import { dependencyGraph } from "./metadata.mjs";

const openers = /^(sframe|hpke|sealed-visit|sealed-visit-(frames|visit|recording)|mls-rs(-.*)?)$/;
const graph = await dependencyGraph();

function namesIn(packageName) {
  return graph.normalTree(packageName).map(({ name }) => name);
}

/** A crate that is not here, or uses another one, needs a reason: ARCHITECTURE.md, "Who may depend on whom". */
const layers = {
  "sealed-visit-aes": [],
  "sealed-visit-protocol": [],
  "sealed-visit-frames": ["aes"],
  "sealed-visit-visit": ["aes", "protocol", "testing"],
  "sealed-visit-recording": ["aes", "protocol"],
  "sealed-visit-testing": ["protocol"],
  "sealed-visit": ["frames", "protocol", "recording", "visit"],
  "sealed-visit-serve": [],
  "sealed-visit-sqlite": [],
  "sealed-visit-relay": ["protocol", "serve"],
  "sealed-visit-authority": ["protocol", "serve", "sqlite"],
  "sealed-visit-vault": ["protocol", "serve", "sqlite"],
  "sealed-visit-cli": ["protocol", "recording"],
  "sealed-visit-fuzz-targets": ["frames", "protocol", "recording", "testing", "visit"],
};

test("crates use each other as the layers say, and not otherwise", () => {
  const expected = Object.entries(layers).map(([name, used]) => [name, used.map((other) => `sealed-visit-${other}`)]);
  assert.deepEqual(graph.layers(), Object.fromEntries(expected));
});

test("only the WebAssembly package knows JavaScript", () => {
  const bindings = /^(wasm-bindgen|js-sys|web-sys|serde-wasm-bindgen|gloo.*)$/;
  assert.ok(graph.directDependencies("sealed-visit").some((name) => bindings.test(name)));
  for (const name of Object.keys(layers).filter((other) => other !== "sealed-visit"))
    assert.deepEqual(
      graph.directDependencies(name).filter((used) => bindings.test(used)),
      [],
      name,
    );
});

test("the tests' clinic is in no program", async () => {
  for (const name of ["", "-cli", "-relay", "-authority", "-vault"].map((end) => `sealed-visit${end}`)) {
    // As that package alone is built: the graph above has the features of all tests.
    const tree = await capture("cargo", [
      "tree",
      "--locked",
      "--edges",
      "normal",
      "--prefix",
      "none",
      "--package",
      name,
    ]);
    assert.match(tree, /^sealed-visit-protocol /m);
    assert.doesNotMatch(tree, /^sealed-visit-testing /m, name);
  }
});

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

test("the clinic tool is linked with recordings and HPKE, which the walk would find, and not with the visit", () => {
  const names = namesIn("sealed-visit-cli");
  assert.ok(names.includes("sealed-visit-recording"));
  assert.ok(names.includes("hpke"));
  assert.deepEqual(
    names.filter((name) => /^(sframe|sealed-visit|sealed-visit-(frames|visit)|mls-rs(-.*)?)$/.test(name)),
    [],
  );
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
