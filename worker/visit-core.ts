/**
 * The visit core behind its bindings: inputs and outputs cross as JSON. The pass key's seed goes in as bytes, apart, because a
 * text cannot be wiped. No key of an epoch comes out.
 */
import { fromBase64url, toBase64url } from "./base64url.js";
import type { CoreConfig, GeneratedIdentity, Input, Output, PublicJwk, VisitCore } from "./core-types.js";
import type { FrameEngine } from "./wasm.js";

/** The class as wasm-bindgen shows it (src/visit.rs). */
export interface VisitCoreBinding {
  new (config: string, seed: Uint8Array, entropy: Uint8Array, now_ms: number, frames: FrameEngine): RawVisitCore;
  generateSeed(): Uint8Array;
  publicJwk(seed: Uint8Array): string;
  nameCommitment(name: string, salt: string): string;
}

interface RawVisitCore {
  handle(input: string, now_ms: number): string;
  free(): void;
}

/** The same class as core-types.ts describes it. */
export function bindVisitCore(Binding: VisitCoreBinding) {
  return class implements VisitCore {
    readonly #core: RawVisitCore;

    constructor({ seed, entropy, ...config }: CoreConfig, now_ms: number, frames: FrameEngine) {
      this.#core = new Binding(JSON.stringify(config), seed, entropy, now_ms, frames);
    }

    static generateIdentity(): GeneratedIdentity {
      const seed = Binding.generateSeed();
      return { seed, jwk: JSON.parse(Binding.publicJwk(seed)) as PublicJwk };
    }

    static nameCommitment(name: string, salt: string): string {
      return Binding.nameCommitment(name, salt);
    }

    handle(input: Input, now_ms: number): Output[] {
      const outputs = JSON.parse(this.#core.handle(encode(input), now_ms)) as JsonOutput[];
      return outputs.map(decode);
    }

    free(): void {
      this.#core.free();
    }
  };
}

/** Bytes stand in JSON as base64url. */
type JsonOutput =
  | Exclude<Output, { readonly t: "message" }>
  | (Omit<Extract<Output, { readonly t: "message" }>, "data"> & { readonly data: string });

function encode(input: Input): string {
  if (input.t !== "command" || input.command.c !== "send") return JSON.stringify(input);
  const { data } = input.command;
  return JSON.stringify({ ...input, command: { c: "send", data: toBase64url(data) } });
}

function decode(output: JsonOutput): Output {
  return output.t === "message" ? { ...output, data: fromBase64url(output.data) } : output;
}
