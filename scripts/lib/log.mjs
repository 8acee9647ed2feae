/**
 * Progress, on stderr: stdout belongs to results.
 *
 * `say(text)` prints one line with the seconds since the command started; `timed(text, work)` runs
 * `work` and says how long it took; `sayTimes()` lists what took how long; `result(object)` prints the
 * one JSON line that ends a measuring command, and sets the exit code from its `ok`.
 */
const startedMs = Date.now();
/** A step longer than this says now and then that it still runs. */
const STILL_RUNNING_MS = 30_000;
/** Steps shorter than this are not worth a line in the list. */
const LISTED_MS = 500;
const times = [];

export function say(text) {
  const elapsed = ((Date.now() - startedMs) / 1000).toFixed(1).padStart(6);
  process.stderr.write(`[${elapsed} s] ${text}\n`);
}

/**
 * `estimateS`: about how long it takes on a slow machine with two cores; people wait better when they know.
 *
 * @template T
 * @param {string} text
 * @param {() => T | Promise<T>} work
 * @param {{ estimateS?: number }} [options]
 */
export async function timed(text, work, { estimateS } = {}) {
  const beganMs = Date.now();
  const seconds = () => ((Date.now() - beganMs) / 1000).toFixed(1);
  say(`${text} ...${estimateS ? ` (up to ${spoken(estimateS)} on a slow machine, once)` : ""}`);
  const ticker = setInterval(() => say(`${text}: ${seconds()} s so far`), STILL_RUNNING_MS);
  ticker.unref();
  try {
    const value = await work();
    say(`${text}: done in ${seconds()} s`);
    return value;
  } finally {
    clearInterval(ticker);
    times.push({ text, beganMs, endedMs: Date.now() });
  }
}

/** What took how long. Steps that ran side by side add up to more than the whole. */
export function sayTimes() {
  const listed = times.filter(({ beganMs, endedMs }) => endedMs - beganMs >= LISTED_MS);
  if (listed.length === 0) return;
  say("what took how long:");
  for (const { text, beganMs, endedMs } of listed.sort((left, right) => left.beganMs - right.beganMs)) {
    say(`${((endedMs - beganMs) / 1000).toFixed(1).padStart(8)} s  ${text}`);
  }
  say(`${((Date.now() - startedMs) / 1000).toFixed(1).padStart(8)} s  in all`);
}

/** Waits for all, and then fails with the first failure: nothing goes on behind a command that gave up. */
export async function allDone(promises) {
  const outcomes = await Promise.allSettled(promises);
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}

function spoken(seconds) {
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} minutes`;
}

export function result(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`);
  if (object.ok !== true) process.exitCode = 1;
}
