/** `atExit(act)`: whatever way this process ends (kill -9 excepted), `act` runs first, synchronously. */
let installed = false;

export function atExit(act) {
  process.on("exit", act);
  if (installed) return;
  installed = true;
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ]) {
    process.on(signal, () => process.exit(128 + number));
  }
}
