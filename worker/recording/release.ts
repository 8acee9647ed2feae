/**
 * Gives the memory of bytes that nobody needs anymore back at once. Four times a second for hours they would otherwise
 * wait for a collector that seldom comes to a worker which makes so little else. Afterwards they are empty.
 */
export function release({ buffer }: Uint8Array): void {
  (buffer as Transferable).transfer?.(0);
}

/** ES2024; not everywhere yet. */
interface Transferable {
  transfer?: (length: number) => ArrayBuffer;
}
