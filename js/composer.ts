/** The page's side of the composing worker: hands it the pictures, gets one picture back. */
import type { ComposeCounts, ComposePace, FromComposer, ToComposer } from "../worker/compose-protocol.js";
import type { ParticipantId } from "../worker/protocol.js";
import type { BreakoutBox } from "./breakout-box.js";
import { SealedVisitError } from "./errors.js";
import type { RemoteTrack } from "./media-session.js";

/** @internal */
export class Composer {
  /** The composed picture. */
  readonly track: MediaStreamTrack;
  onFailure: (message: string) => void = () => undefined;
  readonly #worker: Worker;
  readonly #remotes = new Map<string, RemoteTrack>();
  #pace: ComposePace;
  #names: ReadonlyMap<ParticipantId, string> = new Map();

  constructor(
    worker: Worker,
    picture: { width: number; height: number; max_fps: number },
    onCounts: (counts: ComposeCounts) => void,
  ) {
    const { MediaStreamTrackGenerator } = globalThis as BreakoutBox;
    if (!MediaStreamTrackGenerator) {
      throw new SealedVisitError("recorder-unsupported", "this browser cannot compose a picture in a worker");
    }
    this.#worker = worker;
    this.#pace = { max_fps: picture.max_fps, max_scale: 1 };
    worker.addEventListener("message", ({ data }: MessageEvent<FromComposer>) => {
      if (data.m === "counts") onCounts(data.counts);
      else this.onFailure(data.message);
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault?.();
      this.onFailure(event.message || "the composing worker could not be loaded");
    });
    const generator = new MediaStreamTrackGenerator({ kind: "video" });
    this.track = generator;
    const { writable } = generator;
    this.#post({ m: "start", ...picture, writable }, [writable]);
  }

  add(remote: RemoteTrack): void {
    const { MediaStreamTrackProcessor } = globalThis as BreakoutBox;
    if (!MediaStreamTrackProcessor) return;
    this.remove(remote.id);
    this.#remotes.set(remote.id, remote);
    const { readable } = new MediaStreamTrackProcessor({ track: remote.mediaTrack, maxBufferSize: 1 });
    const input = { id: remote.id, label: this.#labelOf(remote), isScreen: remote.source === "screen" };
    this.#post({ m: "add", input, readable }, [readable]);
  }

  remove(id: string): void {
    if (this.#remotes.delete(id)) this.#post({ m: "remove", id });
  }

  setNames(names: ReadonlyMap<ParticipantId, string>): void {
    this.#names = names;
    for (const [id, remote] of this.#remotes) this.#post({ m: "label", id, label: this.#labelOf(remote) });
  }

  setPace(pace: ComposePace): void {
    if (pace.max_fps === this.#pace.max_fps && pace.max_scale === this.#pace.max_scale) return;
    this.#pace = pace;
    this.#post({ m: "pace", ...pace });
  }

  close(): void {
    this.#post({ m: "close" });
    this.track.stop();
    this.#worker.terminate();
  }

  /** Names only where they are known; an id says nothing to a viewer. */
  #labelOf({ participant }: RemoteTrack): string {
    return this.#names.get(participant) ?? "";
  }

  #post(message: ToComposer, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}
