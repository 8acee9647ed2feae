/** Where the package's workers and WebAssembly are loaded from. */

/**
 * All optional. By default everything is taken from beside the package's own file, which also is
 * what bundlers understand. Workers must be of the page's origin.
 */
export interface AssetOptions {
  /** `visit-worker.js`. */
  readonly workerUrl?: string | URL;
  /** `compose-worker.js`; for recorders. */
  readonly composeWorkerUrl?: string | URL;
  /** `open-worker.js`; for playback. */
  readonly openWorkerUrl?: string | URL;
  /** The folder that holds `visit_bg.wasm` and `recording_bg.wasm`; ends with a slash. */
  readonly wasmUrl?: string | URL;
}

/** @internal */
export function wasmUrlOf(assets: AssetOptions): string | null {
  return assets.wasmUrl === undefined ? null : new URL(assets.wasmUrl, document.baseURI).href;
}

// The expressions are written out, because bundlers look for exactly this form.

/** @internal */
export function newVisitWorker({ workerUrl }: AssetOptions): Worker {
  return workerUrl === undefined
    ? new Worker(new URL("./visit-worker.js", import.meta.url), { type: "module" })
    : new Worker(workerUrl, { type: "module" });
}

/** @internal */
export function newComposeWorker({ composeWorkerUrl }: AssetOptions): Worker {
  return composeWorkerUrl === undefined
    ? new Worker(new URL("./compose-worker.js", import.meta.url), { type: "module" })
    : new Worker(composeWorkerUrl, { type: "module" });
}

/** @internal */
export function newOpenWorker({ openWorkerUrl }: AssetOptions): Worker {
  return openWorkerUrl === undefined
    ? new Worker(new URL("./open-worker.js", import.meta.url), { type: "module" })
    : new Worker(openWorkerUrl, { type: "module" });
}
