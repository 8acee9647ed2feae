/**
 * Looks for recorded media in the clear in everything that a browser has on disk: every file of its profile, and every
 * file that its processes hold open, deleted ones included.
 *
 * What it looks for is what MediaRecorder's WebM cannot do without: the EBML header with its document type, and the
 * beginning of a cluster of unknown size with its timestamp. Each is 13 bytes or more: chance does not make them.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync, statSync } from "node:fs";
import path from "node:path";

const MARKS = [
  // DocType, four bytes long, "webm".
  { name: "webm header", bytes: Buffer.from("4282847765626d", "hex") },
  // Cluster of unknown size; Timestamp.
  { name: "webm cluster", bytes: Buffer.from("1f43b67501ffffffffffffffe7", "hex") },
];
const PIECE_BYTES = 4 << 20;

/** `[{ file, mark }]`; `files` and `bytes` tell how much was looked at. */
export function scanForPlaintext(profile, pids) {
  const found = [];
  let bytes = 0;
  const files = [...filesUnder(profile), ...pids.flatMap((pid) => openFilesOf(pid))];
  for (const { file, shown } of files) {
    const { size, marks } = scan(file);
    bytes += size;
    for (const mark of marks) found.push({ file: shown, mark });
  }
  return { found, files: files.length, bytes };
}

function scan(file) {
  const marks = new Set();
  let size = 0;
  let handle;
  try {
    handle = openSync(file, "r");
    const overlap = Math.max(...MARKS.map(({ bytes }) => bytes.length));
    const piece = Buffer.alloc(PIECE_BYTES);
    for (let at = 0; ; at += PIECE_BYTES - overlap) {
      const read = readSync(handle, piece, 0, PIECE_BYTES, at);
      const held = piece.subarray(0, read);
      for (const { name, bytes } of MARKS) if (held.includes(bytes)) marks.add(name);
      size = at + read;
      if (read < PIECE_BYTES) break;
    }
  } catch {
    // Gone between listing and opening.
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
  return { size, marks };
}

function filesUnder(folder) {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesUnder(file);
    return entry.isFile() ? [{ file, shown: file }] : [];
  });
}

/** Regular files only: not the program, its libraries and its resources, which hold the format's constants as code. */
function openFilesOf(pid) {
  let names;
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const file = `/proc/${pid}/fd/${name}`;
    try {
      const target = readlinkSync(file);
      const isOurs = target.startsWith("/") && !/^\/(usr|proc|dev|sys|memfd)/.test(target) && statSync(file).isFile();
      return isOurs ? [{ file, shown: `${target} (open in ${pid})` }] : [];
    } catch {
      return [];
    }
  });
}
