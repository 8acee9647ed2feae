/**
 * Runs a benchmark's worker, and hands its report to whoever drives the browser. `given` is sent to it first;
 * `{ type: "sign", input }` from it is answered with what `window.signOpen(input)` gives.
 */
globalThis.runWorker = (url, given) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(url, { type: "module" });
    worker.onmessage = async ({ data }) => {
      if (data.type === "sign") return worker.postMessage(await globalThis.signOpen(data.input));
      worker.terminate();
      if (data.error) reject(new Error(data.error));
      else resolve(data);
    };
    worker.onerror = (event) => reject(new Error(event.message));
    if (given) worker.postMessage(given);
  });
globalThis.isReady = true;
