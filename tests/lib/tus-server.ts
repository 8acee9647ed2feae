/** `@tus/server` on loopback, with a door in front that can fail requests as told. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

export type Fault =
  | { readonly kind: "status"; readonly status: number; readonly headers?: Record<string, string> }
  /** The connection is cut after so many bytes of the request's body. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** The request is never answered. */
  | { readonly kind: "stall" };

export interface SeenRequest {
  readonly method: string;
  readonly authorization: string | undefined;
  readonly uploadLength: string | undefined;
}

export async function startTusServer() {
  const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-tus-"));
  const server = new Server({ path: "/files", datastore: new FileStore({ directory }) });
  const seen: SeenRequest[] = [];
  /** Asked for every request, in order. */
  let fault: (request: http.IncomingMessage) => Fault | null = () => null;
  const door = http.createServer((request, response) => {
    const { authorization } = request.headers;
    const uploadLength = request.headers["upload-length"] as string | undefined;
    seen.push({ method: request.method ?? "", authorization, uploadLength });
    const now = fault(request);
    if (now === null) {
      void server.handle(request, response);
    } else if (now.kind === "status") {
      request.resume();
      response.writeHead(now.status, now.headers).end();
    } else if (now.kind === "cut") {
      let left = now.afterBytes;
      request.on("data", (piece: Buffer) => {
        left -= piece.byteLength;
        if (left <= 0) request.socket.destroy();
      });
      request.on("end", () => request.socket.destroy());
    }
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
  const { port } = door.address() as AddressInfo;
  return {
    createUrl: `http://127.0.0.1:${port}/files`,
    seen,
    failWith(next: (request: http.IncomingMessage) => Fault | null): void {
      fault = next;
    },
    /** What the server holds of an upload. */
    bytes: (url: string) => new Uint8Array(readFileSync(path.join(directory, path.basename(url)))),
    forget(url: string): void {
      rmSync(path.join(directory, path.basename(url)));
      rmSync(path.join(directory, `${path.basename(url)}.json`), { force: true });
    },
    async close(): Promise<void> {
      door.closeAllConnections();
      await new Promise((resolve) => door.close(resolve));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
