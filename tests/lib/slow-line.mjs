/**
 * A UDP forwarder on loopback that makes a line bad: from the server to the client, or both ways.
 *
 *     const line = await slowLine(serverPort, { bps: 500_000, lossShare: 0.03, jitterMs: 100, bothWays: true });
 *     line.port;                     // where the client sends to
 *     line.set({ bps: 2_000_000 });  // changes what is named
 *     line.stats;                    // { passed, lost, overflowed } datagrams towards the client
 *     line.statsUp;                  // the same for the other way
 *     await line.close();
 *
 * Rate: a drop-tail queue of at most `queueMs` (300), one for each way. Jitter: 0 to `jitterMs` more delay, without
 * reordering. Loss: at random from a seeded generator, the same in every run. (The kernels of test machines lack netem.)
 */
import { createSocket } from "node:dgram";

export async function slowLine(
  serverPort,
  { bps = 1e9, lossShare = 0, jitterMs = 0, queueMs = 300, bothWays = false, seed = 1 } = {},
) {
  const settings = { bps, lossShare, jitterMs, queueMs };
  const front = await bound();
  // One socket towards the server for each client, so that the server can tell them apart.
  const backs = new Map();
  let isClosed = false;
  const down = shaper(settings, seed);
  const up = shaper(settings, seed + 1);

  const toClient = (datagram, client) =>
    down.pass(datagram, () => {
      if (!isClosed) front.send(datagram, client.port, client.address, () => {});
    });

  front.on("message", async (datagram, client) => {
    const key = `${client.address}:${client.port}`;
    if (!backs.has(key)) {
      backs.set(
        key,
        bound().then((back) => back.on("message", (answer) => toClient(answer, client))),
      );
    }
    const back = await backs.get(key);
    const send = () => {
      if (!isClosed) back.send(datagram, serverPort, "127.0.0.1", () => {});
    };
    if (bothWays) up.pass(datagram, send);
    else send();
  });

  return {
    port: front.address().port,
    stats: down.stats,
    statsUp: up.stats,
    set: (changes) => Object.assign(settings, changes),
    async close() {
      isClosed = true;
      for (const back of backs.values()) (await back).close();
      front.close();
    },
  };
}

/** One way of the line: `pass` calls `send` when the datagram gets through, after its delay. */
function shaper(settings, seed) {
  const stats = { passed: 0, lost: 0, overflowed: 0 };
  const random = seeded(seed);
  let freeAtMs = 0;
  let lastAtMs = 0;
  const pass = (datagram, send) => {
    if (random() < settings.lossShare) {
      stats.lost += 1;
      return;
    }
    const nowMs = performance.now();
    const beginMs = Math.max(freeAtMs, nowMs);
    if (beginMs - nowMs > settings.queueMs) {
      stats.overflowed += 1;
      return;
    }
    freeAtMs = beginMs + (datagram.length * 8000) / settings.bps;
    lastAtMs = Math.max(lastAtMs, freeAtMs + random() * settings.jitterMs);
    stats.passed += 1;
    setTimeout(send, lastAtMs - nowMs);
  };
  return { stats, pass };
}

function bound() {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.on("error", reject);
    socket.bind(0, "127.0.0.1", () => resolve(socket));
  });
}

/** mulberry32 */
function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
