/**
 * A whole clinic on this machine: root key and document, recipients, authority, relay, vault, pages.
 *
 *     const stack = await startStack({ directory: "demo-out/clinic", logDirectory: "demo-out/logs" });
 *     const { visit, links } = await stack.makeVisit(["clinician", "patient"]);
 *     stack.link("clinician", links[0]);           // the page's address, secret in the fragment
 *     await stack.vault.recordings();               // as the clinic's reader
 *     await stack.fetchRecording(id, folder);       // what `sealed-visit open` and `verify` take
 *     stack.startPage;                              // where visits are made; secret in the fragment
 *     stack.mediaPort;                              // where the relay takes media, UDP
 *     await stack.stop();
 *
 * Options: `tap` (file for what the relay forwards; uses the relay of test builds), `host` and `tls`
 * (serve to other machines), `port`, `vaultArgs`, `purposes` (as in config.json), `serveOptions`.
 *
 * Everything that pages need comes from one origin: relay, authority and vault stand behind prefixes of the page server.
 * Making a visit needs the scheduler's token. The page server adds it to that one call, and only for a page that knows the
 * start secret: whoever reads this program's output, and nobody else on the network.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { program } from "./paths.mjs";
import { ProcessGroup } from "./processes.mjs";
import { capture } from "./run.mjs";
import { serve } from "./static-server.mjs";

const LISTENING = /listening (http:\/\/\S+)/;

/** Who can open recordings here: role and key file. */
const recipients = [
  { role: "responsible_clinician", file: "clinician" },
  { role: "archive", file: "archive" },
  { role: "supervisor", file: "supervisor" },
];

/**
 * @typedef {object} StackOptions
 * @property {string} directory keys, data, and the clinic's documents; what is there is used again
 * @property {string} [logDirectory]
 * @property {string} [tap] file that gets every packet the relay forwards
 * @property {string} [host] of the page server
 * @property {number} [port]
 * @property {{ key: string | Buffer, cert: string | Buffer }} [tls]
 * @property {string} [announce] address for media, when others than this machine take part
 * @property {string[]} [vaultArgs]
 * @property {(string | object)[]} [purposes]
 * @property {Partial<import("./static-server.mjs").ServeOptions>} [serveOptions]
 */

/** @param {StackOptions} options */
export async function startStack({
  directory,
  logDirectory,
  tap,
  host = "127.0.0.1",
  port = 0,
  tls,
  announce,
  vaultArgs = [],
  purposes = ["medical_record", "supervision", "quality_review", "ai_note", "dispute", "research", "other"],
  serveOptions = {},
}) {
  const at = (...parts) => path.join(directory, ...parts);
  const clinic = await makeClinic(directory, at);
  const servers = new ProcessGroup({ logDirectory });
  const launch = (name, command, args) =>
    servers.start({ name, command: program(command), args, listening: LISTENING });
  const start = async (...what) => (await launch(...what)).match[1];

  // The page server says for whom it asks: limits are each client's, not the page server's.
  const behindPages = ["--trusted-proxy", "127.0.0.1"];
  const authority = await start("authority", "sealed-visit-authority", [
    ...["serve", "--key", at("authority.key"), "--scheduler-token-file", at("scheduler.token")],
    ...behindPages,
    ...["--data", at("visits.json")],
  ]);
  const mediaHost = announce ?? "127.0.0.1";
  const startedRelay = await launch("relay", tap ? "sealed-visit-relay-tap" : "sealed-visit-relay", [
    ...[`--root-key=${clinic.rootKey}`, "--clinic-document", at("clinic", "clinic.jws")],
    ...behindPages,
    ...["--media-address", `${mediaHost}:0`],
    ...(tap ? ["--tap", tap] : []),
  ]);
  const relay = startedRelay.match[1];
  const mediaPort = Number(/^media udp:.*:(\d+)$/m.exec(startedRelay.log())[1]);
  const vaultArguments = [
    ...["--listen", "127.0.0.1:0", "--data", at("vault"), "--key", at("vault.key")],
    ...[`--root-key=${clinic.rootKey}`, "--clinic-document", at("clinic", "clinic.jws")],
    ...["--token-file", at("readers")],
    ...behindPages,
    ...vaultArgs,
  ];
  const vault = await start("vault", "sealed-visit-vault", vaultArguments);

  const startSecret = randomBytes(24).toString("base64url");
  const site = await serve({
    ...serveOptions,
    host,
    hosts: [...(announce ? [announce] : []), ...(serveOptions.hosts ?? [])],
    port,
    tls,
    documents: {
      "/config.json": {
        root_key: clinic.rootKey,
        clinic_document: clinic.document,
        relay_url: "/relay/v1/visit",
        authority_url: "/api/authority",
        vault_url: "/vault",
        languages: ["en", "es"],
        purposes,
      },
      ...serveOptions.documents,
    },
    proxies: {
      "/api/authority": {
        target: authority,
        paths: [/^\/v1\/visits(\/|$)/],
        authorized: [
          {
            method: "POST",
            path: "/v1/visits",
            secret: startSecret,
            headers: { authorization: `Bearer ${clinic.schedulerToken}` },
          },
        ],
      },
      "/relay": { target: relay, paths: [/^\/v1\/visit$/] },
      // The vault has limits of its own for what is uploaded.
      "/vault": { target: vault, paths: [/^\/v1\//], maxBodyBytes: Number.POSITIVE_INFINITY },
      ...serveOptions.proxies,
    },
  });
  return new Stack({ directory, clinic, servers, site, startSecret, urls: { authority, relay, vault }, mediaPort });
}

async function makeClinic(directory, at) {
  mkdirSync(directory, { recursive: true });
  const tool = (args) => capture(program("sealed-visit"), ["--json", ...args]).then(JSON.parse);
  if (!existsSync(at("clinic", "clinic.jws"))) {
    writeFileSync(at("passphrase"), `${randomBytes(18).toString("base64url")}\n`, { mode: 0o600 });
    writeFileSync(at("scheduler.token"), randomBytes(24).toString("base64url"), { mode: 0o600 });
    writeFileSync(at("readers"), `demo ${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 });
    const secret = ["--passphrase-file", at("passphrase")];
    for (const { file } of recipients) await tool(["keygen", at(`${file}.jwe`), ...secret]);
    const authority = JSON.parse(await capture(program("sealed-visit-authority"), ["keygen", at("authority.key")]));
    const vault = (await capture(program("sealed-visit-vault"), ["keygen", "--key", at("vault.key")])).trim();
    await tool([
      ...["clinic", "init", at("clinic"), "--name", "Riverside Clinic", "--contact", "records@riverside.example"],
      ...[`--authority=${authority.x}`, `--vault=${vault}`, ...secret],
      ...recipients.flatMap(({ role, file }) => ["--recipient", `${role}=${at(`${file}.jwe.pub.json`)}`]),
    ]);
  }
  return {
    rootKey: readFileSync(at("clinic", "root.pub"), "utf8").trim(),
    document: readFileSync(at("clinic", "clinic.jws"), "utf8").trim(),
    schedulerToken: readFileSync(at("scheduler.token"), "utf8").trim(),
    readerToken: readFileSync(at("readers"), "utf8").trim().split(" ")[1],
  };
}

export class Stack {
  /** @type {string} */ directory;
  /** @type {Awaited<ReturnType<typeof makeClinic>>} */ clinic;
  /** @type {ProcessGroup} */ servers;
  /** @type {Awaited<ReturnType<typeof serve>>} */ site;
  /** @type {string} */ startSecret;
  /** @type {{ authority: string, relay: string, vault: string }} */ urls;
  /** @type {number} */ mediaPort;

  constructor(parts) {
    Object.assign(this, parts);
  }

  path(...parts) {
    return path.join(this.directory, ...parts);
  }

  /**
   * Makes a visit that began now; roles in the order of the links returned. With `closesInSeconds` it is an old one, whose
   * time is over then; with `startsInMs` one that begins later. A patient gets the passcode, if there is one.
   *
   * @param {string[]} roles
   * @param {{ minutes?: number, closesInSeconds?: number, startsInMs?: number, passcode?: string }} [options]
   */
  async makeVisit(roles, { minutes = 60, closesInSeconds, startsInMs = 0, passcode } = {}) {
    const grace_ms = 2 * 60 * 60_000;
    const starts_ms =
      closesInSeconds === undefined
        ? Date.now() + startsInMs
        : Date.now() + closesInSeconds * 1_000 - grace_ms - minutes * 60_000;
    return this.#json(`${this.urls.authority}/v1/visits`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.clinic.schedulerToken}` },
      body: JSON.stringify({
        appointment: randomBytes(8).toString("hex"),
        starts_ms,
        ends_ms: starts_ms + minutes * 60_000,
        participants: roles.map((role) => (role === "patient" && passcode ? { role, passcode } : { role })),
      }),
    });
  }

  /** The address that a participant gets. */
  link(page, { visit, secret }) {
    return this.site.url(`/${page}.html#${new URLSearchParams({ visit, secret })}`);
  }

  /** Whoever has this address can make visits. */
  get startPage() {
    return this.site.url(`/start.html#${new URLSearchParams({ start: this.startSecret })}`);
  }

  /**
   * The vault, as the clinic's reader sees it.
   * @param {string} pathname
   * @param {RequestInit} [options]
   */
  async reads(pathname, options = {}) {
    return this.#json(new URL(pathname, this.urls.vault), {
      ...options,
      headers: { authorization: `Bearer ${this.clinic.readerToken}`, ...options.headers },
    });
  }

  async recordings() {
    return (await this.reads("/v1/recordings")).recordings;
  }

  relayStats() {
    return this.#json(`${this.urls.relay}/v1/stats`);
  }

  /** Fetches documents, shares and sealed tracks into a folder that the clinic tool opens. */
  async fetchRecording(recording, folder) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const opened = await this.reads(`/v1/recordings/${recording}/open`, { method: "POST" });
    writeFileSync(path.join(folder, "recording.json"), JSON.stringify(opened, null, 1));
    writeFileSync(path.join(folder, "clinic.jws"), this.clinic.document);
    for (const part of opened.parts) {
      for (const track of part.tracks) {
        const response = await fetch(new URL(track.url, this.urls.vault));
        if (!response.ok) throw new Error(`track ${track.track}: HTTP ${response.status}`);
        writeFileSync(path.join(folder, `${track.track}.track`), Buffer.from(await response.arrayBuffer()));
      }
    }
    return opened;
  }

  /** The clinic tool on a fetched folder, as the recipient whose key file is named. */
  async tool(args) {
    return JSON.parse(await capture(program("sealed-visit"), ["--json", ...args]));
  }

  async stop() {
    await this.site.close();
    await this.servers.stop();
  }

  async #json(url, options) {
    const response = await fetch(url, options);
    const text = await response.text();
    if (!response.ok) throw new Error(`${url}: HTTP ${response.status} ${text}`);
    return JSON.parse(text);
  }
}
