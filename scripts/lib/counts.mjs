/**
 * How many tests a command ran, read from what it prints. See suites.mjs for the kinds.
 *
 *     const reader = new CountReader("cargo");
 *     reader.add(text);                  // in any pieces
 *     reader.finish(exitStatus);         // { passed, failed, skipped, notes }
 *
 * An exit status other than 0 is at least one failure, whatever was printed; so is having run
 * nothing.
 */

const lineReaders = {
  exit: () => {},
  json: (line, counts) => {
    if (line.trim()) counts.lastLine = line;
  },
  cargo: (line, counts) => {
    const match = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line);
    if (match) addCounts(counts, match[1], match[2], match[3]);
    const failed = /^test (\S+) \.\.\. FAILED/.exec(line) ?? /^test (\S+) \.\.\. FAIL/.exec(line);
    if (failed) counts.notes.push(`failed: ${failed[1]}`);
  },
  node: (line, counts) => {
    const match = /^(?:ℹ|#) (pass|fail|cancelled|skipped|todo) (\d+)/.exec(line);
    if (!match) return readNodeTest(line, counts);
    const kinds = { pass: "passed", fail: "failed", cancelled: "failed", skipped: "skipped", todo: "skipped" };
    counts[kinds[match[1]]] += Number(match[2]);
  },
  plain: (line, counts) => {
    const match = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/.exec(line);
    if (match) addCounts(counts, match[1], match[2], match[3] ?? "0");
  },
};

export class CountReader {
  #kind;
  #rest = "";
  #counts = { passed: 0, failed: 0, skipped: 0, notes: [], lastLine: "" };

  constructor(kind) {
    if (!Object.hasOwn(lineReaders, kind)) throw new Error(`no way to count "${kind}"`);
    this.#kind = kind;
  }

  add(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const line of lines) this.#readLine(line);
  }

  finish(status) {
    if (this.#rest) this.#readLine(this.#rest);
    const { lastLine, ...counts } = this.#counts;
    if (this.#kind === "json" && status === 0 && !saysOk(lastLine)) status = 'no last line with "ok": true';
    if (this.#kind === "exit" || this.#kind === "json") counts[status === 0 ? "passed" : "failed"] = 1;
    if (status !== 0) {
      counts.notes.push(typeof status === "number" ? `exit code ${status}` : status);
      if (counts.failed === 0) counts.failed = 1;
    } else if (counts.passed + counts.failed === 0) {
      counts.failed = 1;
      counts.notes.push("no test ran");
    }
    counts.notes = [...new Set(counts.notes)];
    return counts;
  }

  #readLine(line) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are escape sequences
    lineReaders[this.#kind](line.replace(/\u001b\[[0-9;]*m/g, ""), this.#counts);
  }
}

function addCounts(counts, passed, failed, skipped) {
  counts.passed += Number(passed);
  counts.failed += Number(failed);
  counts.skipped += Number(skipped);
}

/** The spec reporter's lines for single tests: "✖ name (12ms)", "﹣ name (1ms) # reason". */
function readNodeTest(line, counts) {
  const failed = /^\s*✖ (.+) \([\d.]+ms\)/.exec(line);
  if (failed) counts.notes.push(`failed: ${failed[1]}`);
  const skipped = /^\s*﹣ (.+) \([\d.]+ms\) # (.+)$/.exec(line);
  if (skipped) counts.notes.push(`skipped ${skipped[1]}: ${skipped[2]}`);
}

function saysOk(line) {
  try {
    return JSON.parse(line).ok === true;
  } catch {
    return false;
  }
}
