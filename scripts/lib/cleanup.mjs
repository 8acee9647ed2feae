/** `atExit(act)`: whatever way this process ends (kill -9 excepted), `act` runs first, synchronously and once. */
const acts = new Set();

export function atExit(act) {
  if (acts.has(act)) return;
  process.on("exit", act);
  acts.add(act);
  if (acts.size > 1) return;
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ]) {
    process.on(signal, () => process.exit(128 + number));
  }
}
