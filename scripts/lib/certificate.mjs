/**
 * A certificate of our own for `npm start -- --host`: browsers give cameras to secure origins only,
 * and a phone on the same network reaches this machine by an address. People accept it by hand.
 *
 *     const tls = await selfSignedCertificate(["192.168.1.20"]);   // { key, cert } in PEM
 *     localAddresses();                                             // this machine's IPv4 addresses
 *
 * The certificate is kept in the cache for its 30 days, so that a phone asks only once.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import path from "node:path";
import { ensure } from "../setup.mjs";
import { cacheDir } from "./paths.mjs";
import { capture } from "./run.mjs";

const VALID_DAYS = 30;
const RENEW_AFTER_MS = (VALID_DAYS - 2) * 86_400_000;

export async function selfSignedCertificate(names) {
  const hosts = [...new Set(["localhost", "127.0.0.1", ...names])].sort();
  const directory = path.join(
    cacheDir,
    "certificates",
    createHash("sha256").update(hosts.join()).digest("hex").slice(0, 16),
  );
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => path.join(directory, name));
  const isFresh = existsSync(key) && existsSync(cert) && Date.now() - statSync(cert).mtimeMs < RENEW_AFTER_MS;
  if (!isFresh) {
    const { openssl } = await ensure("openssl");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const alternatives = hosts.map((host) => `${isIP(host) ? "IP" : "DNS"}:${host}`).join(",");
    await capture(openssl.path, [
      ...[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        String(VALID_DAYS),
      ],
      ...["-subj", "/CN=Sealed Visit on this machine", "-addext", `subjectAltName=${alternatives}`],
      ...["-addext", "extendedKeyUsage=serverAuth", "-keyout", key, "-out", cert],
    ]);
  }
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

export function localAddresses() {
  return Object.values(networkInterfaces())
    .flat()
    .filter((entry) => entry.family === "IPv4" && !entry.internal)
    .map((entry) => entry.address);
}
