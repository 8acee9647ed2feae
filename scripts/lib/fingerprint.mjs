/**
 * What a build step depends on, as one hash: the contents of its input files and the versions of
 * its tools. Contents, not times: a fresh clone has new times and the same contents.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { root } from "./paths.mjs";

/** Hex SHA-256 over `facts` (strings) and every file under `paths` (relative to the root). */
export function fingerprint(paths, facts = []) {
  const hash = createHash("sha256");
  for (const fact of facts) hash.update(`fact\0${fact}\0`);
  for (const file of paths.flatMap((relative) => filesUnder(relative)).sort()) {
    hash.update(`file\0${file}\0`);
    hash.update(
      createHash("sha256")
        .update(readFileSync(path.join(root, file)))
        .digest(),
    );
  }
  return hash.digest("hex");
}

/** Files under a path relative to the root, as relative paths; none when it does not exist. */
export function filesUnder(relative) {
  const absolute = path.join(root, relative);
  const stat = statSync(absolute, { throwIfNoEntry: false });
  if (!stat) return [];
  if (stat.isFile()) return [relative];
  return readdirSync(absolute, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules" || entry.name === "target") return [];
    const child = path.posix.join(relative, entry.name);
    return entry.isDirectory() ? filesUnder(child) : [child];
  });
}
