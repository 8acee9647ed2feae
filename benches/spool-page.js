/** Holds the worker of the spool's benchmark: `spool(message)` posts to it and resolves with its answer. */
const worker = new Worker("/bench/spool-worker.js", { type: "module" });

globalThis.spool = (message) =>
  new Promise((resolve, reject) => {
    worker.onmessage = async ({ data }) => {
      if (data.type === "sign") return worker.postMessage(await globalThis.signOpen(data.input));
      if (data.error) reject(new Error(data.error));
      else resolve(data);
    };
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(message);
  });
globalThis.isReady = true;
