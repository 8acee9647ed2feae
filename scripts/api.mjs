/**
 * The report on the npm package's API: docs/api-report.md.
 *
 *     npm run api                writes it
 *     npm run api -- --check     fails when it differs from what the source offers (npm run test:lint)
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { apiReport } from "./lib/api-report.mjs";
import { say } from "./lib/log.mjs";
import { inRoot } from "./lib/paths.mjs";
import { run } from "./lib/run.mjs";

const reportFile = inRoot("docs", "api-report.md");
const head = `# The API of the npm package

Written by \`npm run api\` from the source: do not edit. Everything that \`sealed-visit\`, \`sealed-visit/components\`, and
\`sealed-visit/host\` export, with every type those declarations mention. A change here is a change for users: it belongs
in CHANGELOG.md.

`;

async function main() {
  const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-api-"));
  try {
    await run(inRoot("node_modules", ".bin", "tsc"), ["--project", "tsconfig.types.json", "--outDir", directory]);
    const { exports } = JSON.parse(readFileSync(inRoot("package.json"), "utf8"));
    const entries = Object.entries(exports).filter(([, target]) => target.types);
    const report = apiReport(
      directory,
      Object.fromEntries(
        entries.map(([name, { types }]) => [name.replace(/^\./, "sealed-visit"), types.replace("./dist/types/", "")]),
      ),
    );
    if (!process.argv.includes("--check")) {
      writeFileSync(reportFile, head + report);
      say("written: docs/api-report.md");
    } else if (readFileSync(reportFile, "utf8") !== head + report) {
      say("docs/api-report.md is not what the source offers: run `npm run api`, read the difference, and commit it");
      process.exitCode = 1;
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
