/**
 * The only file that imports the core's WebAssembly packages.
 *
 * One instance of each module for a worker. A panic in any of them is fatal: it is reported once,
 * the listener closes the sending gate, and no instance is called again.
 */
import init, {
  dropReasons,
  FrameEngine,
  onPanic as onVisitPanic,
  VisitCore as VisitCoreWasm,
  wasmMemory,
} from "../dist/wasm/visit.js";
import type { CoreConfig, GeneratedIdentity, VisitCore } from "./core-types.js";
import { WorkerError } from "./failure.js";
import { bindVisitCore } from "./visit-core.js";

export { FrameEngine };

/** What `visit.js` exports, as core-types.ts describes it; visit-core.ts makes it so. */
export interface VisitModule {
  readonly VisitCore: {
    /** `frames` gets its keys and its gate from the visit, inside the module. */
    new (config: CoreConfig, now_ms: number, frames: FrameEngine): VisitCore;
    generateIdentity(): GeneratedIdentity;
    nameCommitment(name: string, salt: string): string;
  };
}

export type RecordingModule = typeof import("../dist/wasm/recording.js");
export type {
  PartDraft,
  PartRecorder,
  RecordingReader,
  RecordingReport,
  SealedSlice,
  TrackReader,
} from "../dist/wasm/recording.js";

export interface FramesModule {
  readonly FrameEngine: typeof FrameEngine;
  /** Names by code; index 0 is empty. */
  readonly dropReasons: readonly string[];
  readonly memory: WebAssembly.Memory;
}

export type OnPanic = (message: string) => void;

/** What every member needs: group, state machine, frames. */
export async function loadVisit(baseUrl: string | null, onPanic: OnPanic): Promise<VisitModule & FramesModule> {
  const url = baseUrl === null ? new URL("./wasm/visit_bg.wasm", import.meta.url) : new URL("visit_bg.wasm", baseUrl);
  await load(() => init({ module_or_path: url }), url);
  onVisitPanic(onPanic);
  return { VisitCore: bindVisitCore(VisitCoreWasm), FrameEngine, dropReasons: dropReasons(), memory: wasmMemory() };
}

/** Only recorders and playback download it. */
export async function loadRecording(baseUrl: string | null, onPanic: OnPanic): Promise<RecordingModule> {
  const url =
    baseUrl === null ? new URL("./wasm/recording_bg.wasm", import.meta.url) : new URL("recording_bg.wasm", baseUrl);
  const recording = await import("../dist/wasm/recording.js");
  await load(() => recording.default({ module_or_path: url }), url);
  recording.onPanic(onPanic);
  return recording;
}

async function load(init: () => Promise<unknown>, url: URL): Promise<void> {
  try {
    await init();
  } catch (cause) {
    throw new WorkerError("wasm-load-failed", `WebAssembly could not be loaded from ${url.pathname}`, { cause });
  }
}
