/** What this browser can do, and why not. */
import { canCompose } from "./breakout-box.js";
import { SealedVisitError } from "./errors.js";
import { transformApi } from "./protect.js";

/** A capability, with the reason when it is missing: a code, and a sentence for people. */
export type Capability =
  | { readonly supported: true; readonly limits?: readonly string[] }
  | { readonly supported: false; readonly code: string; readonly reason: string };

export interface Support {
  /** Taking part in a visit. */
  readonly visit: Capability;
  /** Being the declared recorder. */
  readonly recorder: Capability;
  /** Opening recordings. */
  readonly playback: Capability;
  readonly details: {
    readonly secureContext: boolean;
    readonly transform: "script-transform" | "encoded-streams" | null;
    readonly wasm: boolean;
    readonly wasmSimd: boolean;
    readonly x25519: boolean;
    readonly trackProcessor: boolean;
    readonly mediaRecorder: boolean;
    readonly privateFileSystem: boolean;
    readonly crossOriginIsolated: boolean;
  };
}

const no = (code: string, reason: string): Capability => ({ supported: false, code, reason });

/** Looks at this browser. Asks for no permission and loads nothing. */
export async function support(): Promise<Support> {
  const details = {
    secureContext: globalThis.isSecureContext,
    transform: transformApi(),
    wasm: hasWasm(),
    wasmSimd: hasWasmSimd(),
    x25519: await hasX25519(),
    trackProcessor: canCompose(),
    mediaRecorder: recorderDeliversSlices(),
    privateFileSystem: await hasPrivateFileSystem(),
    crossOriginIsolated: globalThis.crossOriginIsolated,
  };
  const base = baseOf(details);
  return { visit: visitOf(details, base), recorder: recorderOf(details, base), playback: base, details };
}

function baseOf({ secureContext, wasm, wasmSimd }: Support["details"]): Capability {
  if (!secureContext) return no("insecure-context", "The page must be served over HTTPS.");
  if (!wasm) return no("no-wasm", "WebAssembly is switched off or blocked by the page's policy (wasm-unsafe-eval).");
  if (!wasmSimd) return no("no-wasm-simd", "This browser is too old: its WebAssembly lacks SIMD.");
  return { supported: true };
}

function visitOf({ transform }: Support["details"], base: Capability): Capability {
  if (!base.supported) return base;
  if (typeof RTCPeerConnection !== "function")
    return no("no-webrtc", "This browser has no WebRTC, or it is switched off.");
  if (transform === null) {
    return no("no-encoded-transform", "This browser cannot encrypt media frames end to end. Please update it.");
  }
  return { supported: true };
}

function recorderOf(details: Support["details"], base: Capability): Capability {
  const visit = visitOf(details, base);
  if (!visit.supported) return visit;
  if (!details.trackProcessor) {
    return no(
      "no-track-processor",
      "This browser cannot record while its tab is hidden. Use Chrome, Edge or Chromium to record.",
    );
  }
  if (!details.mediaRecorder) {
    return no(
      "no-live-slices",
      "This browser hands out a recording only at its end, so a crash would lose it. Use Chrome, Edge or Chromium to record.",
    );
  }
  if (!details.privateFileSystem) {
    return { supported: true, limits: ["spool-in-memory"] };
  }
  return { supported: true };
}

/** @internal */
export async function assertCanRecord(): Promise<void> {
  const { recorder } = await support();
  if (!recorder.supported)
    throw new SealedVisitError("recorder-unsupported", recorder.reason, { detail: { code: recorder.code } });
}

function hasWasm(): boolean {
  try {
    return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
  } catch {
    return false;
  }
}

/** The smallest module that uses a v128: `() -> v128 { i8x16.splat(0) }`. */
function hasWasmSimd(): boolean {
  try {
    return WebAssembly.validate(
      new Uint8Array([
        0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
      ]),
    );
  } catch {
    return false;
  }
}

async function hasX25519(): Promise<boolean> {
  try {
    await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]);
    return true;
  } catch {
    return false;
  }
}

/** Firefox hands out everything at the end, whatever the slice's length; it has no track generator either. */
function recorderDeliversSlices(): boolean {
  return (
    typeof MediaRecorder === "function" && MediaRecorder.isTypeSupported("video/webm;codecs=vp8,opus") && canCompose()
  );
}

/** Private windows refuse it. */
async function hasPrivateFileSystem(): Promise<boolean> {
  try {
    await navigator.storage.getDirectory();
    return true;
  } catch {
    return false;
  }
}
