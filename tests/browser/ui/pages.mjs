/**
 * Serves the pages and the page of examples from memory, built from source, under the content security
 * policy that the documentation asks for; with an authority's answers and a clinic's document of its own.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import * as esbuild from "esbuild";
import { pageShells, pages } from "../../../scripts/lib/page-shells.mjs";
import { inRoot } from "../../../scripts/lib/paths.mjs";

export const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; media-src 'self' blob: mediastream:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const types = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
};
const shells = pageShells();
const entries = [...new Set(Object.values(pages).map(({ script }) => `www/${script}.ts`)), "www/dev/states.ts"];

/** A server on a free port: `{ url, close }`. */
export async function servePages() {
  const scripts = await bundle();
  const server = createServer((request, response) => {
    const name = new URL(request.url, "http://localhost").pathname.slice(1) || "start.html";
    const answer = answerFor(name, scripts, request);
    response.writeHead(answer ? (answer.status ?? 200) : 404, {
      "content-type": answer?.type ?? "text/plain",
      "content-security-policy": policy,
      "x-content-type-options": "nosniff",
    });
    response.end(answer?.body ?? "not here");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://localhost:${port}`, close: () => server.close() };
}

async function bundle() {
  const built = await esbuild.build({
    entryPoints: entries.map((entry) => inRoot(entry)),
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    outdir: "/",
    outbase: inRoot("www"),
    logLevel: "silent",
    alias: {
      "sealed-visit": inRoot("js/index.ts"),
      "sealed-visit/components": inRoot("js/components.ts"),
      "sealed-visit/host": inRoot("js/host.ts"),
    },
  });
  return new Map(built.outputFiles.map(({ path: file, text }) => [file.replace(/^\//, ""), text]));
}

function answerFor(name, scripts, request) {
  if (scripts.has(name)) return { type: types[".js"], body: scripts.get(name) };
  if (shells.has(name)) return { type: types[".html"], body: shells.get(name) };
  if (name === "dev/states.html") return { type: types[".html"], body: statesPage };
  if (name === "config.json") return json(config);
  if (name === "api/authority/v1/visits" && request.method === "POST") return json(madeVisit);
  if (name.startsWith("api/authority/")) return json({ visit: "v" });
  const type = types[path.extname(name)];
  if (!type || name.includes("..")) return undefined;
  try {
    return { type, body: readFileSync(inRoot("www", name)) };
  } catch {
    return undefined;
  }
}

const json = (value) => ({ type: "application/json", body: JSON.stringify(value) });

const statesPage = shells
  .get("clinician.html")
  .replaceAll("./", "../")
  .replace("../visit.js", "./states.js")
  .replace('href="../', 'href="../');

const claims = {
  name: "River Clinic",
  contact: "privacy@river.example",
  recipients: [{ fingerprint: "f1", role: "responsible_clinician" }],
};
const config = {
  root_key: "unused",
  clinic_document: `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`,
  relay_url: "/relay",
  authority_url: "/api/authority",
  vault_url: "/api/vault",
  languages: ["en", "es"],
};
const madeVisit = {
  visit: "v".repeat(22),
  links: ["clinician", "patient", "guest"].map((role) => ({ participant: role, role, secret: `secret-${role}` })),
};
