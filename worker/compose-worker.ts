/** Entry of the composing worker: one composed picture for one recorder. */
import { Composer } from "./compose/composer.js";
import type { FromComposer, ToComposer } from "./compose-protocol.js";

const REPORT_EVERY_MS = 1_000;

const worker = self as unknown as DedicatedWorkerGlobalScope;
let composer: Composer | null = null;

worker.addEventListener("message", ({ data }: MessageEvent<ToComposer>) => {
  try {
    handle(data);
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
});

function handle(message: ToComposer): void {
  switch (message.m) {
    case "start": {
      const { width, height, max_fps, writable } = message;
      composer = new Composer({ width, height, max_fps, writable, onFailure: fail });
      setInterval(() => {
        if (composer) post({ m: "counts", counts: composer.counts() });
      }, REPORT_EVERY_MS);
      break;
    }
    case "pace":
      composer?.setPace(message);
      break;
    case "add":
      composer?.add(message.input, message.readable);
      break;
    case "label":
      composer?.label(message.id, message.label);
      break;
    case "remove":
      composer?.remove(message.id);
      break;
    case "close":
      composer?.close();
      composer = null;
      break;
    default:
      message satisfies never;
  }
}

function fail(message: string): void {
  post({ m: "failed", message });
}

function post(message: FromComposer): void {
  worker.postMessage(message);
}
