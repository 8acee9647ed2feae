/** One picture that arrives: its newest frame, and what was seen of it. */
import type { ComposeInput, InputCounts } from "../compose-protocol.js";
import type { Size } from "./canvas-size.js";
import { FrameClock } from "./frame-clock.js";
import { type Planes, planesOf, planesOfRgba, sampleOf } from "./planes.js";

/** So few places tell a changing picture from a frozen one, sensor noise included. */
const SAMPLE_COLUMNS = 16;
const SAMPLE_ROWS = 9;
/** A frame is sampled at most this often. */
const SAMPLE_EVERY_MS = 250;

export class PictureInput {
  readonly id: string;
  readonly isScreen: boolean;
  label: string;
  readonly #reader: ReadableStreamDefaultReader<VideoFrame>;
  readonly #onFrame: () => void;
  readonly #clock = new FrameClock();
  #frame: VideoFrame | null = null;
  #dueAt = 0;
  #isDrawn = true;
  #frames = 0;
  #countedFrames = 0;
  #lastAt: number | null = null;
  #sampledAt = Number.NEGATIVE_INFINITY;
  #lastSample: Uint16Array | null = null;
  #buffer = new Uint8Array();
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

  get size(): Size | null {
    return this.#frame && { width: this.#frame.displayWidth, height: this.#frame.displayHeight };
  }

  /** When the newest frame was due to be shown; null when it was drawn before. */
  get undrawnDueAt(): number | null {
    return this.#isDrawn ? null : this.#dueAt;
  }

  /**
   * The newest frame's planes, or those of a picture at most as large as `atMost` where the browser keeps it elsewhere, as
   * in a graphics processor. Good until the next call. Null before the first frame.
   */
  async planes(atMost: Size): Promise<Planes | null> {
    const frame = this.#frame?.clone();
    if (!frame) return null;
    this.#isDrawn = true;
    try {
      const planes = (await this.#copyPlanes(frame)) ?? readBack(frame, atMost);
      this.#noteChange(planes, performance.now());
      return planes;
    } finally {
      frame.close();
    }
  }

  async #copyPlanes(frame: VideoFrame): Promise<Planes | null> {
    const { format, visibleRect } = frame;
    if (!visibleRect || isTurned(frame, visibleRect) || (format !== "I420" && format !== "I420A" && format !== "NV12"))
      return null;
    const bytes = frame.allocationSize();
    if (this.#buffer.byteLength < bytes) this.#buffer = new Uint8Array(bytes);
    return planesOf(format, visibleRect, this.#buffer, await frame.copyTo(this.#buffer));
  }

  idleMs(now: number): number | null {
    return this.#lastAt === null ? null : now - this.#lastAt;
  }

  /** What happened since the last call. */
  takeCounts(now: number): InputCounts {
    const arrived = this.#frames - this.#countedFrames;
    const counts = { id: this.id, frames: this.#frames, arrived, idle_ms: this.idleMs(now), changed: this.#changed };
    this.#changed = 0;
    this.#countedFrames = this.#frames;
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
    this.#dueAt = this.#clock.dueAt(frame.timestamp, this.#lastAt);
    this.#isDrawn = false;
    this.#onFrame();
  }

  #noteChange(planes: Planes, now: number): void {
    if (now - this.#sampledAt < SAMPLE_EVERY_MS) return;
    this.#sampledAt = now;
    const before = this.#lastSample;
    this.#lastSample = sampleOf(planes, SAMPLE_COLUMNS, SAMPLE_ROWS);
    if (before === null || this.#lastSample.some((value, index) => value !== before[index])) this.#changed += 1;
  }
}

/** Planes are as the camera held them; a canvas turns them upright. */
function isTurned(
  frame: VideoFrame & { rotation?: number; flip?: boolean },
  { width, height }: DOMRectReadOnly,
): boolean {
  const isOnItsSide = width !== height && width > height !== frame.displayWidth > frame.displayHeight;
  return isOnItsSide || (frame.rotation ?? 0) !== 0 || frame.flip === true;
}

/** Through a canvas, already as small as it will be drawn. */
function readBack(frame: VideoFrame, atMost: Size): Planes {
  const scale = Math.min(1, atMost.width / frame.displayWidth, atMost.height / frame.displayHeight);
  const width = Math.max(2, Math.round(frame.displayWidth * scale));
  const height = Math.max(2, Math.round(frame.displayHeight * scale));
  const context = new OffscreenCanvas(width, height).getContext("2d", { alpha: false });
  if (!context) throw new Error("no 2d context for an OffscreenCanvas");
  context.drawImage(frame, 0, 0, width, height);
  return planesOfRgba(context.getImageData(0, 0, width, height));
}
