/** `atExit(act)`: whatever way this process ends (kill -9 excepted), `act` runs first, synchronously and once. */
const acts = new Set();

export function atExit(act) {
  if (acts.has(act)) return;
  process.on("exit", act);
  acts.add(act);
  if (acts.size > 1) return;
  process.on("SIGINT", () => process.exit(128 + 2));
  process.on("SIGTERM", () => process.exit(128 + 15));
  process.on("SIGHUP", () => process.exit(128 + 1));
}
