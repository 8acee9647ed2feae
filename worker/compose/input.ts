/** One video input: its newest frame and its counts. */
import type { ComposeInput, InputCounts } from "../compose-protocol.js";

/** A thumbnail this small still distinguishes a changing picture (even by sensor noise) from a frozen one. */
const SAMPLE_WIDTH = 16;
const SAMPLE_HEIGHT = 9;
/** A frame is sampled at most this often. */
const SAMPLE_EVERY_MS = 250;

export class PictureInput {
  readonly id: string;
  readonly isScreen: boolean;
  label: string;
  readonly #reader: ReadableStreamDefaultReader<VideoFrame>;
  readonly #onFrame: () => void;
  readonly #sample = new OffscreenCanvas(SAMPLE_WIDTH, SAMPLE_HEIGHT).getContext("2d", { willReadFrequently: true });
  #frame: VideoFrame | null = null;
  #frames = 0;
  #lastAt: number | null = null;
  #sampledAt = Number.NEGATIVE_INFINITY;
  #lastSample: Uint8ClampedArray | null = null;
  #changed = 0;
  #isClosed = false;

  constructor({ id, label, isScreen }: ComposeInput, readable: ReadableStream<VideoFrame>, onFrame: () => void) {
    this.id = id;
    this.label = label;
    this.isScreen = isScreen;
    this.#reader = readable.getReader();
    this.#onFrame = onFrame;
    void this.#read();
  }

  /** The newest frame; the input's own. */
  get frame(): VideoFrame | null {
    return this.#frame;
  }

  idleMs(now: number): number | null {
    return this.#lastAt === null ? null : now - this.#lastAt;
  }

  /** What happened since the last call. */
  takeCounts(now: number): InputCounts {
    const counts = { id: this.id, frames: this.#frames, idle_ms: this.idleMs(now), changed: this.#changed };
    this.#changed = 0;
    return counts;
  }

  close(): void {
    this.#isClosed = true;
    this.#frame?.close();
    this.#frame = null;
    this.#reader.cancel().catch(() => undefined);
  }

  async #read(): Promise<void> {
    try {
      while (!this.#isClosed) {
        const { done, value } = await this.#reader.read();
        if (done) return;
        this.#take(value);
      }
    } catch {
      // The track ended; its last frame stays until it is removed.
    }
  }

  #take(frame: VideoFrame): void {
    if (this.#isClosed) {
      frame.close();
      return;
    }
    this.#frame?.close();
    this.#frame = frame;
    this.#frames += 1;
    this.#lastAt = performance.now();
    this.#noteChange(frame, this.#lastAt);
    this.#onFrame();
  }

  #noteChange(frame: VideoFrame, now: number): void {
    if (!this.#sample || now - this.#sampledAt < SAMPLE_EVERY_MS) return;
    this.#sampledAt = now;
    this.#sample.drawImage(frame, 0, 0, SAMPLE_WIDTH, SAMPLE_HEIGHT);
    const { data } = this.#sample.getImageData(0, 0, SAMPLE_WIDTH, SAMPLE_HEIGHT);
    const before = this.#lastSample;
    this.#lastSample = data;
    if (before === null || data.some((value, index) => value !== before[index])) this.#changed += 1;
  }
}
