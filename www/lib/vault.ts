/** A reader's requests to the vault. They never include the private key. */
import type { OpenedRecording } from "sealed-visit";
import { answerOf } from "./link.js";

export interface ListedRecording {
  recording: string;
  visit: string;
  state: "open" | "finished" | "unfinished" | "withdrawn" | "deleted";
  opened_ms: number;
  ended_ms: number | null;
  size_bytes: number;
  parts: { part: number; state: string }[];
}

export interface ListedPage {
  recordings: ListedRecording[];
  /** Where the next page begins; null on the last. */
  next: string | null;
}

export class VaultReader {
  readonly #base: URL;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#base = new URL(url.endsWith("/") ? url : `${url}/`, document.baseURI);
    this.#token = token;
  }

  /** The newest recordings, or those after a page. */
  list(next: string | null = null): Promise<ListedPage> {
    return this.#ask<ListedPage>("GET", `v1/recordings${next === null ? "" : `?after=${encodeURIComponent(next)}`}`);
  }

  /** Shares and short-lived download URLs; the vault writes down who asked. */
  async open(recording: string): Promise<OpenedRecording> {
    const opened = await this.#ask<OpenedRecording>("POST", `v1/recordings/${encodeURIComponent(recording)}/open`);
    // The vault gives paths of its own; it may stand behind a prefix.
    const absolute = (url: string | null) => (url === null ? null : new URL(url.replace(/^\//, ""), this.#base).href);
    const parts = opened.parts.map((part) => ({
      ...part,
      tracks: part.tracks.map((track) => ({ ...track, url: absolute(track.url) })),
    }));
    return { ...opened, parts };
  }

  async #ask<T>(method: string, path: string): Promise<T> {
    return answerOf<T>(
      await fetch(new URL(path, this.#base), {
        method,
        headers: { authorization: `Bearer ${this.#token}` },
        cache: "no-store",
      }),
    );
  }
}
