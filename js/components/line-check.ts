/**
 * Tries, before a visit, what it will use: the clinic's server, the relay's WebSocket, UDP to the relay's media server, and
 * the vault for who will record. `<device-check>` loads this when it runs.
 *
 * Nothing is sent but the requests themselves: no pass, no name, no visit.
 */
import { allLine, type LineStrings } from "./strings/line.js";

/** What the visit will use, besides what `ping` asks. */
export interface LineUses {
  /** As for `joinVisit`. */
  readonly relayUrl: string | URL;
  /** For who will record. */
  readonly vaultUrl?: string | URL;
}

export type LineName = "network" | "relay" | "media" | "vault";

export interface LineResult {
  readonly name: LineName;
  readonly outcome: "good" | "warning" | "bad" | "unknown";
  readonly key: keyof LineStrings;
  readonly ms?: number;
}

const TRY_LIMIT_MS = 10_000;
const SLOW_MS = 400;

/** By the language without region; an import of what says so would split what everyone downloads. */
export const lineStrings = (language: string): LineStrings =>
  language.toLowerCase().startsWith("es") ? allLine.es : allLine.en;

/** Reports each try as it ends; those that were not made are not reported. */
export async function checkLine(
  { ping, uses }: { ping?: ((signal: AbortSignal) => Promise<void>) | undefined; uses?: LineUses | undefined },
  report: (result: LineResult) => void,
  signal: AbortSignal,
): Promise<void> {
  const attempt = async (name: LineName, run: (limited: AbortSignal) => Promise<unknown>) => {
    const begun_ms = performance.now();
    const isGood = await limited(run, signal).then(
      () => true,
      () => false,
    );
    if (signal.aborted) return;
    const ms = Math.round(performance.now() - begun_ms);
    if (!isGood) report({ name, outcome: "bad", key: `${name}_failed` });
    else if (name === "network" && ms >= SLOW_MS) report({ name, outcome: "warning", key: "network_slow", ms });
    else report({ name, outcome: "good", key: `${name}_ok`, ms });
  };
  await Promise.all([
    ping && attempt("network", ping),
    uses && checkRelay(uses.relayUrl, attempt, report),
    uses?.vaultUrl !== undefined && attempt("vault", (limit) => askVault(uses.vaultUrl as string | URL, limit)),
  ]);
}

/** The relay says where media goes, with the first message on its WebSocket. */
async function checkRelay(
  url: string | URL,
  attempt: (name: LineName, run: (signal: AbortSignal) => Promise<unknown>) => Promise<void>,
  report: (result: LineResult) => void,
): Promise<void> {
  let access: MediaAccess | null | undefined;
  await attempt("relay", async (signal) => {
    access = await askRelay(url, signal);
  });
  if (access) {
    const found = access;
    await attempt("media", (signal) => reachMedia(found, signal));
  } else report({ name: "media", outcome: "unknown", key: access === null ? "media_unknown" : "media_later" });
}

/** Rejects after a while, and when `signal` is aborted; `run` has a signal of its own that is aborted then, or at its end. */
async function limited<T>(run: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  const timer = setTimeout(abort, TRY_LIMIT_MS);
  signal.addEventListener("abort", abort);
  try {
    const stopped = new Promise<never>((_, reject) => {
      stop.signal.addEventListener("abort", () => reject(new DOMException("no answer in time", "TimeoutError")));
    });
    return await Promise.race([run(stop.signal), stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    stop.abort();
  }
}

/** How the relay's media server answers connectivity checks of who has no visit yet. */
interface MediaAccess {
  readonly addresses: readonly string[];
  readonly ufrag: string;
  readonly pwd: string;
}

/** Resolves with null when a relay does not offer the check. */
function askRelay(url: string | URL, signal: AbortSignal): Promise<MediaAccess | null> {
  const address = new URL(url, document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address);
    signal.addEventListener("abort", () => socket.close());
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      const message = JSON.parse(String(data)) as { t?: unknown; media?: unknown };
      if (message.t === "challenge") resolve(mediaAccess(message.media));
    });
    for (const end of ["error", "close"])
      socket.addEventListener(end, () => reject(new DOMException("the relay does not answer", "NetworkError")));
  });
}

const ICE_CHARACTERS = /^[\w+/]+$/;
const ADDRESS = /^\[?([\da-f.:]+?)\]?:(\d{1,5})$/i;

function mediaAccess(given: unknown): MediaAccess | null {
  const { addresses, ufrag, pwd } = (given ?? {}) as Partial<MediaAccess>;
  const isComplete =
    Array.isArray(addresses) &&
    addresses.length > 0 &&
    addresses.every((address) => ADDRESS.test(address)) &&
    ICE_CHARACTERS.test(ufrag ?? "") &&
    ICE_CHARACTERS.test(pwd ?? "");
  return isComplete ? ({ addresses, ufrag, pwd } as MediaAccess) : null;
}

/**
 * A real ICE check (RFC 8445) by the browser. It sends nothing else: the other side would have to begin DTLS, and does not.
 */
async function reachMedia({ addresses, ufrag, pwd }: MediaAccess, signal: AbortSignal): Promise<void> {
  const connection = new RTCPeerConnection();
  signal.addEventListener("abort", () => connection.close());
  connection.createDataChannel("check");
  await connection.setLocalDescription(await connection.createOffer());
  const mid = /^a=mid:(\S+)/m.exec(connection.localDescription?.sdp ?? "")?.[1] ?? "0";
  const fingerprint = [...crypto.getRandomValues(new Uint8Array(32))]
    .map((byte) => byte.toString(16).padStart(2, "0").toUpperCase())
    .join(":");
  const sdp = [
    ...["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=ice-lite", `a=group:BUNDLE ${mid}`],
    ...["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", `a=mid:${mid}`],
    ...[`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`, `a=fingerprint:sha-256 ${fingerprint}`],
    ...["a=setup:active", "a=sctp-port:5000"],
    ...addresses.map((address, index) => {
      const [, host, port] = ADDRESS.exec(address) ?? [];
      return `a=candidate:${index + 1} 1 udp ${2_130_706_431 - index} ${host} ${port} typ host`;
    }),
    "",
  ].join("\r\n");
  const reached = new Promise<void>((resolve, reject) => {
    connection.addEventListener("iceconnectionstatechange", () => {
      const { iceConnectionState } = connection;
      if (/^(connected|completed)$/.test(iceConnectionState)) resolve();
      if (iceConnectionState === "failed") reject(new DOMException("no way to the media server", "NetworkError"));
    });
  });
  await connection.setRemoteDescription({ type: "answer", sdp });
  await reached;
}

/** No recording has this id; where uploads go, the vault says of any what it can do (tus 1.0, "OPTIONS"), and nobody else does. */
const ANY_UPLOAD = `v1/recordings/${"A".repeat(22)}/parts/0/uploads`;

async function askVault(url: string | URL, signal: AbortSignal): Promise<void> {
  const base = new URL(url, document.baseURI).href.replace(/\/?$/, "/");
  const response = await fetch(`${base}${ANY_UPLOAD}`, { method: "OPTIONS", signal, cache: "no-store" });
  if (!response.headers.has("tus-version")) throw new DOMException("no vault answered", "NetworkError");
}
