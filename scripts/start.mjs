/**
 * The demo visit for people: `npm start [-- --host] [-- --port N] [-- --data FOLDER] [-- --no-build]`.
 *
 * Builds what is missing, makes a clinic once (kept in `.cache/clinic`), starts authority, relay and
 * vault, and prints the start page's address. With `--host` it serves HTTPS to the local network, so
 * that a phone can join; its certificate is our own and has to be accepted once on each device. Others on that network
 * can load the pages, and use the links that they were given. They cannot make a visit: the start page's address has a
 * secret, new with each start, which only this terminal shows.
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { localAddresses, selfSignedCertificate } from "./lib/certificate.mjs";
import { say } from "./lib/log.mjs";
import { inRoot } from "./lib/paths.mjs";
import { startStack } from "./lib/stack.mjs";
import { ensure } from "./setup.mjs";

const { values } = parseArgs({
  options: {
    host: { type: "boolean", default: false },
    port: { type: "string", default: "8480" },
    data: { type: "string", default: inRoot(".cache", "clinic") },
    "no-build": { type: "boolean", default: false },
  },
});

await ensure("node", "rust", "wasm");
if (!values["no-build"]) await build();
const [address] = values.host ? localAddresses() : [];
if (values.host && !address) throw new Error("--host: this machine has no network address");
const stack = await startStack({
  directory: path.resolve(values.data),
  logDirectory: path.join(path.resolve(values.data), "logs"),
  port: Number(values.port),
  ...(address && { host: "0.0.0.0", announce: address, tls: await selfSignedCertificate([address]) }),
});
const origin = address ? `https://${address}:${stack.site.port}` : stack.site.origin;
say("ready; open this page, make a visit, and give each link to one person:");
process.stdout.write(`${origin}/start.html${new URL(stack.startPage).hash}\n`);
say("whoever has that address can make visits: keep it to yourself");
say(`playback: ${origin}/playback.html`);
say(`  vault token: ${stack.path("readers")}   key file: ${stack.path("clinician.jwe")}`);
say(`  its passphrase: ${stack.path("passphrase")}`);
say("stop with Ctrl-C");
await new Promise((resolve) => {
  process.once("SIGINT", resolve);
  process.once("SIGTERM", resolve);
});
await stack.stop();
