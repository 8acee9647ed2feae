/**
 * Draws everyone into one picture, driven by the frames that arrive, at most `max_fps` a second and
 * at least a few a second, so that the recording goes on when nobody sends.
 */
import type { ComposeCounts, ComposeInput } from "../compose-protocol.js";
import { PictureInput } from "./input.js";
import { fit, layOut, type Rectangle, shortened } from "./layout.js";

/** With no frame from anyone, and for whatever falls still. */
const IDLE_INTERVAL_MS = 200;
/** A picture this old is marked as standing still. */
const STALE_AFTER_MS = 3_000;
const BACKGROUND = "#16191d";
const TILE = "#242a31";
const TEXT = "#f4f6f8";

export interface ComposerOptions {
  readonly width: number;
  readonly height: number;
  readonly max_fps: number;
  readonly writable: WritableStream<VideoFrame>;
  readonly onFailure: (message: string) => void;
}

export class Composer {
  readonly #canvas: OffscreenCanvas;
  readonly #context: OffscreenCanvasRenderingContext2D;
  readonly #writer: WritableStreamDefaultWriter<VideoFrame>;
  #minIntervalMs = 0;
  readonly #onFailure: (message: string) => void;
  readonly #inputs = new Map<string, PictureInput>();
  #layout: ReadonlyMap<string, Rectangle> = new Map();
  #composed = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #timerDueAt = Number.POSITIVE_INFINITY;
  #lastTimestampUs = 0;
  #isClosed = false;

  constructor({ width, height, max_fps, writable, onFailure }: ComposerOptions) {
    this.#canvas = new OffscreenCanvas(width, height);
    const context = this.#canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("no 2d context for an OffscreenCanvas");
    this.#context = context;
    this.#writer = writable.getWriter();
    this.setPace(max_fps);
    this.#onFailure = onFailure;
    this.#schedule(0);
  }

  setPace(maxFps: number): void {
    // A little less than a whole interval: frames of 30 a second must not slip to every other one.
    this.#minIntervalMs = Math.max(0, 1_000 / maxFps - 3);
  }

  add(input: ComposeInput, readable: ReadableStream<VideoFrame>): void {
    this.remove(input.id);
    this.#inputs.set(input.id, new PictureInput(input, readable, () => this.#onFrame()));
    this.#layOut();
  }

  label(id: string, label: string): void {
    const input = this.#inputs.get(id);
    if (input) input.label = label;
  }

  remove(id: string): void {
    const input = this.#inputs.get(id);
    if (!input) return;
    this.#inputs.delete(id);
    input.close();
    this.#layOut();
  }

  counts(): ComposeCounts {
    const now = performance.now();
    return { composed: this.#composed, inputs: [...this.#inputs.values()].map((input) => input.takeCounts(now)) };
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const id of [...this.#inputs.keys()]) this.remove(id);
    this.#writer.close().catch(() => undefined);
  }

  #layOut(): void {
    this.#layout = layOut([...this.#inputs.values()], this.#canvas.width, this.#canvas.height);
  }

  #onFrame(): void {
    const waitMs = this.#drawnAt + this.#minIntervalMs - performance.now();
    if (waitMs <= 0) this.#draw();
    else this.#schedule(waitMs);
  }

  /** Keeps the earlier of two appointments. */
  #schedule(inMs: number): void {
    if (this.#isClosed) return;
    const dueAt = performance.now() + inMs;
    if (this.#timer !== null) {
      if (this.#timerDueAt <= dueAt) return;
      clearTimeout(this.#timer);
    }
    this.#timerDueAt = dueAt;
    this.#timer = setTimeout(() => this.#draw(), inMs);
  }

  #draw(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#isClosed) return;
    this.#drawnAt = performance.now();
    try {
      this.#paint(this.#drawnAt);
      this.#emit();
    } catch (error) {
      this.#isClosed = true;
      this.#onFailure(error instanceof Error ? error.message : "the picture could not be drawn");
      return;
    }
    this.#schedule(IDLE_INTERVAL_MS);
  }

  #paint(now: number): void {
    const context = this.#context;
    context.fillStyle = BACKGROUND;
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    for (const input of this.#inputs.values()) {
      const area = this.#layout.get(input.id);
      if (area) this.#paintTile(input, area, now);
    }
  }

  #paintTile(input: PictureInput, area: Rectangle, now: number): void {
    const context = this.#context;
    context.fillStyle = TILE;
    context.fillRect(area.x, area.y, area.width, area.height);
    const { frame } = input;
    const idleMs = input.idleMs(now);
    if (frame) {
      const { x, y, width, height } = fit(frame.displayWidth, frame.displayHeight, area);
      context.drawImage(frame, x, y, width, height);
    }
    const isStale = idleMs === null || idleMs > STALE_AFTER_MS;
    const text = [input.label, isStale ? "(no picture)" : ""].filter(Boolean).join(" ");
    if (text) this.#paintLabel(text, area);
  }

  #paintLabel(whole: string, area: Rectangle): void {
    const context = this.#context;
    const size = Math.max(12, Math.round(this.#canvas.height / 36));
    context.font = `${size}px sans-serif`;
    context.textBaseline = "bottom";
    const text = shortened(whole, (part) => context.measureText(part).width <= area.width - size);
    const width = Math.min(context.measureText(text).width + size, area.width);
    context.fillStyle = "rgba(0, 0, 0, 0.6)";
    context.fillRect(area.x, area.y + area.height - size * 1.6, width, size * 1.6);
    context.fillStyle = TEXT;
    context.fillText(text, area.x + size / 2, area.y + area.height - size * 0.3, area.width - size);
  }

  #emit(): void {
    // The recorder drops what is not after the frame before.
    const timestampUs = Math.max(Math.round(performance.now() * 1_000), this.#lastTimestampUs + 1);
    this.#lastTimestampUs = timestampUs;
    // A consumer that does not keep up gets fewer frames, not a longer queue.
    if ((this.#writer.desiredSize ?? 0) <= 0) return;
    const frame = new VideoFrame(this.#canvas, { timestamp: timestampUs, alpha: "discard" });
    this.#composed += 1;
    this.#writer.write(frame).catch((error: unknown) => {
      frame.close();
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#onFailure(error instanceof Error ? error.message : "the composed picture was not taken");
    });
  }
}
