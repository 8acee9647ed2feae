/**
 * Progress, on stderr: stdout belongs to results.
 *
 * `say(text)` prints one line with the seconds since the command started; `timed(text, work)` runs
 * `work` and says how long it took; `result(object)` prints the one JSON line that ends a measuring
 * command, and sets the exit code from its `ok`.
 */
const startedMs = Date.now();

export function say(text) {
  const elapsed = ((Date.now() - startedMs) / 1000).toFixed(1).padStart(6);
  process.stderr.write(`[${elapsed} s] ${text}\n`);
}

export async function timed(text, work) {
  const beganMs = Date.now();
  say(`${text} ...`);
  const value = await work();
  say(`${text}: done in ${((Date.now() - beganMs) / 1000).toFixed(1)} s`);
  return value;
}

export function result(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`);
  if (object.ok !== true) process.exitCode = 1;
}
