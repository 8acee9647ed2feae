/**
 * Opening recordings in the browser: key file and share in, verified plaintext out. The key and its
 * passphrase go to a worker and nowhere else; nothing is uploaded.
 */
import type {
  FromOpener,
  OpenEnvelope,
  OpenedPart,
  OpenedRecording,
  OpenRequest,
  OpenRequestOf,
  OpenResults,
  TrackAbout,
  TrackLink,
} from "../worker/open-protocol.js";
import type { CompactJws, TrackId } from "../worker/protocol.js";
import { type AssetOptions, newOpenWorker, wasmUrlOf } from "./assets.js";
import { SealedVisitError } from "./errors.js";

export type { OpenedPart, OpenedRecording, OpenedTrack, TrackAbout } from "../worker/open-protocol.js";

/** A verified slice of a track. */
export interface Slice {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Media time at its end, microseconds since its part's start. */
  readonly mediaEndUs: number;
}

interface SliceStream {
  readonly controller: ReadableStreamDefaultController<Slice>;
  /** Slices that were asked for and have not come. */
  outstanding: number;
}

/** So many slices are on their way at most. */
const AHEAD = 16;

export interface PlayerOptions extends AssetOptions {
  /** The key file's text: a compact JWE, as `sealed-visit keygen` makes it. */
  readonly keyFile: string;
  readonly passphrase: string;
}

export interface LoadOptions {
  /** The `x` of the clinic's root key. */
  readonly rootKey: string;
  readonly clinicDocument: CompactJws;
  /** The vault's answer to `POST /v1/recordings/{id}/open`. */
  readonly recording: OpenedRecording;
  /** Base URL of the vault: against it the answer's links are read. Default: the page's own. */
  readonly vaultUrl?: string | URL;
  /**
   * Asks the vault for the same recording again: its links are good for minutes, and a long download outlives them. Only the links
   * are taken from its answer. Without it, such a download ends with `download-failed`.
   */
  readonly renewLinks?: () => Promise<OpenedRecording>;
}

/** @internal Use `unlockPlayer`. */
export async function openPlayer(options: PlayerOptions): Promise<Player> {
  const player = Player.of(newOpenWorker(options));
  try {
    await player.unlock(wasmUrlOf(options), options.keyFile, options.passphrase);
    return player;
  } catch (error) {
    player.close();
    throw error;
  }
}

/** See `unlockPlayer`. */
export class Player implements AsyncDisposable {
  readonly #worker: Worker;
  #nextId = 1;
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  readonly #streams = new Map<number, SliceStream>();
  /** Slices that came before their stream's number was known. */
  readonly #early = new Map<number, FromOpener[]>();
  #fingerprint = { fingerprint: "", spoken: "" };
  #renewLinks: (() => Promise<readonly TrackLink[]>) | null = null;

  /** @internal */
  static of(worker: Worker): Player {
    return new Player(worker);
  }

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }: MessageEvent<FromOpener>) => this.#receive(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault?.();
      this.#fail(new SealedVisitError("worker-failed", event.message || "the worker could not be loaded"));
    });
  }

  /** The key's fingerprint, as documents name it, and in six groups of five digits to read aloud. */
  get key(): { readonly fingerprint: string; readonly spoken: string } {
    return this.#fingerprint;
  }

  /** @internal */
  async unlock(wasm_url: string | null, key_file: string, passphrase: string): Promise<void> {
    this.#fingerprint = await this.#request<"unlock">({ r: "unlock", wasm_url, key_file, passphrase });
  }

  /**
   * Verifies a recording's documents. Nothing is downloaded before a track is read. Rejects with `recording-invalid` if this is not
   * a vault's answer.
   */
  async load(options: LoadOptions): Promise<readonly TrackAbout[]> {
    const { rootKey, clinicDocument, recording, vaultUrl, renewLinks } = options;
    this.#renewLinks = renewLinks ? async () => linksOf(withAbsoluteLinks(await renewLinks(), vaultUrl)) : null;
    return this.#request<"load">({
      r: "load",
      root_key: rootKey,
      clinic_document: clinicDocument,
      recording: withAbsoluteLinks(recording, vaultUrl),
    });
  }

  /**
   * The verified slices of a track, as they are downloaded. The stream errors at the first byte that
   * does not verify (`opening-track-altered`, `opening-segment-altered`); everything before it is good.
   */
  async read(part: number, track: TrackId): Promise<ReadableStream<Slice>> {
    const { stream } = await this.#request<"read">({ r: "read", part, track });
    return new ReadableStream<Slice>(
      {
        start: (controller) => {
          this.#streams.set(stream, { controller, outstanding: 0 });
          const early = this.#early.get(stream) ?? [];
          this.#early.delete(stream);
          for (const message of early) this.#receive(message);
        },
        // Called when everything that came was taken.
        pull: () => {
          const target = this.#streams.get(stream);
          if (!target || target.outstanding > 0) return;
          target.outstanding = AHEAD;
          this.#request<"more">({ r: "more", stream, count: AHEAD }).catch(() => undefined);
        },
        cancel: () => {
          this.#streams.delete(stream);
          this.#request<"cancel">({ r: "cancel", stream }).catch(() => undefined);
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** A whole track in memory, e.g. for `URL.createObjectURL`. */
  async readBlob(part: number, track: TrackId, type: string): Promise<Blob> {
    const pieces: BlobPart[] = [];
    const reader = (await this.read(part, track)).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Blob(pieces, { type });
      pieces.push(value.bytes);
    }
  }

  /** The verdict over all that was read since {@link load}, as `sealed-visit verify --json` gives it. */
  report(): Promise<unknown> {
    return this.#request<"report">({ r: "report" });
  }

  /** Wipes the key and ends the worker. */
  close(): void {
    const envelope: OpenEnvelope = { id: 0, request: { r: "lock" } };
    this.#worker.postMessage(envelope);
    this.#fail(new SealedVisitError("closed", "the player is closed"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #request<Name extends OpenRequest["r"]>(request: OpenRequestOf<Name>): Promise<OpenResults[Name]> {
    return new Promise<unknown>((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      const envelope: OpenEnvelope = { id, request: request as OpenRequest };
      this.#worker.postMessage(envelope);
    }) as Promise<OpenResults[Name]>;
  }

  #receive(message: FromOpener): void {
    if (!("e" in message)) {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.ok) pending?.resolve(message.value);
      else pending?.reject(SealedVisitError.fromFailure(message.error));
      return;
    }
    if (message.e === "links_needed") {
      void this.#sendLinks();
      return;
    }
    const target = this.#streams.get(message.stream);
    if (!target) {
      const early = this.#early.get(message.stream) ?? [];
      early.push(message);
      this.#early.set(message.stream, early);
      return;
    }
    const { controller } = target;
    if (message.e === "slice") {
      target.outstanding -= 1;
      controller.enqueue({ bytes: new Uint8Array(message.bytes), mediaEndUs: message.media_end_us });
      return;
    }
    this.#streams.delete(message.stream);
    if (message.error) controller.error(SealedVisitError.fromFailure(message.error));
    else controller.close();
  }

  async #sendLinks(): Promise<void> {
    const links = (await this.#renewLinks?.().catch(() => null)) ?? null;
    await this.#request<"links">({ r: "links", links }).catch(() => undefined);
  }

  #fail(error: SealedVisitError): void {
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    for (const { controller } of this.#streams.values()) controller.error(error);
    this.#streams.clear();
  }
}

function withAbsoluteLinks(recording: OpenedRecording, vaultUrl: string | URL = ""): OpenedRecording {
  const base = new URL(vaultUrl, document.baseURI).href;
  const folder = base.endsWith("/") ? base : `${base}/`;
  // The answer is JSON from a server, so its type promises nothing: the worker refuses what is not a recording.
  const listed = (recording as Partial<OpenedRecording> | null)?.parts;
  if (!Array.isArray(listed)) return recording;
  const parts: readonly OpenedPart[] = listed.map((part: OpenedPart | null) => {
    if (!Array.isArray(part?.tracks)) return part as OpenedPart;
    const tracks = part.tracks.map((track) =>
      typeof track?.url === "string" ? { ...track, url: new URL(track.url, folder).href } : track,
    );
    return { ...part, tracks };
  });
  return { ...recording, parts };
}

function linksOf(recording: OpenedRecording): readonly TrackLink[] {
  return recording.parts.flatMap(({ part, tracks }) =>
    tracks.flatMap(({ track, url }) => (url === null ? [] : [{ part, track, url }])),
  );
}
