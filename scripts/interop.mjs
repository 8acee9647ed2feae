/**
 * `npm run interop`: our uploader against tusd, which Go builds from a pinned module (tests/servers/tusd); then the
 * interop suite of `npm test`.
 */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { timed } from "./lib/log.mjs";
import { inRoot, toolsDir } from "./lib/paths.mjs";
import { run, which } from "./lib/run.mjs";

if (!which("go")) throw new Error("npm run interop needs Go (go.dev/dl): tusd is built from source");
const binaries = path.join(toolsDir, "go");
mkdirSync(binaries, { recursive: true });
await timed("building tusd", () =>
  run("go", ["build", "-o", binaries, "github.com/tus/tusd/v2/cmd/tusd"], {
    cwd: inRoot("tests", "servers", "tusd"),
    env: { GOFLAGS: "-mod=readonly" },
  }),
);
await run(process.execPath, ["--import", "tsx", "--test", inRoot("tests", "servers", "tusd.test.mjs")], {
  env: { SEALED_VISIT_TUSD: path.join(binaries, "tusd") },
});
await run(process.execPath, [inRoot("scripts", "test.mjs"), "interop"]);
