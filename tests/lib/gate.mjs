/**
 * A TCP port before a server, which can stop letting anything through, as networks do.
 *
 *     const gate = await openGate();
 *     gate.port;
 *     gate.silent();                  // takes connections, and never says anything: the beginning
 *     gate.refuses();                 // answers every request with 403, as a company's proxy
 *     gate.through("http://127.0.0.1:4000");
 *     gate.asked;                     // connections so far
 *     await gate.close();
 */
import { once } from "node:events";
import net from "node:net";

export async function openGate() {
  const sockets = new Set();
  let asked = 0;
  const silent = () => {};
  const refuses = (socket) => socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  /** @type {(socket: net.Socket) => unknown} */
  let answer = silent;
  const server = net.createServer((socket) => {
    asked += 1;
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    answer(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  return {
    port,
    get asked() {
      return asked;
    },
    silent() {
      answer = silent;
    },
    refuses() {
      answer = refuses;
    },
    through(target) {
      const { hostname, port } = new URL(target);
      answer = (socket) => {
        const onward = net.connect(Number(port), hostname);
        sockets.add(onward);
        onward.on("error", () => socket.destroy());
        onward.on("close", () => sockets.delete(onward));
        socket.pipe(onward).pipe(socket);
      };
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
