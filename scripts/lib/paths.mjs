/**
 * Where things are. One place, so that no script guesses.
 *
 * The cache lives outside the clone: a second clone on the same machine builds in seconds. It is
 * `$SEALED_VISIT_CACHE`, or `~/.cache/sealed-visit`; deleting it costs time and nothing else.
 */
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The root of this clone. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
/** Everything that is built, and nothing else. */
export const distDir = path.join(root, "dist");
/** Server programs and the clinic tool. */
export const binDir = path.join(distDir, "bin");
/** The demo pages, ready to be served. */
export const wwwDir = path.join(distDir, "www");

export const cacheDir = process.env.SEALED_VISIT_CACHE
  ? path.resolve(process.env.SEALED_VISIT_CACHE)
  : path.join(homedir(), ".cache", "sealed-visit");
/** Programs that the build needs, in the versions that it needs. */
export const toolsDir = path.join(cacheDir, "tools");
/** Cargo's target directory. */
export const targetDir = process.env.CARGO_TARGET_DIR
  ? path.resolve(process.env.CARGO_TARGET_DIR)
  : path.join(cacheDir, "target");

/** A path inside this clone. */
export const inRoot = (...parts) => path.join(root, ...parts);

/** The path of a built server or tool, for example `program("sealed-visit-relay")`. */
export const program = (name) => path.join(binDir, process.platform === "win32" ? `${name}.exe` : name);
