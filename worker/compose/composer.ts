/**
 * Draws everybody into one picture, driven by the frames that arrive, at most as often as the pace allows and the fastest
 * of them changes, and at least a few times a second, so that the recording goes on when nobody sends.
 *
 * What it costs follows what there is to see: only pictures that changed are drawn again, and the picture is no larger than
 * they can fill. A composed picture carries the time at which what is new in it was due, not the time of drawing.
 */
import type { ComposeCounts, ComposeInput, ComposePace } from "../compose-protocol.js";
import { type Size, scaled, scaleFor } from "./canvas-size.js";
import { PictureInput } from "./input.js";
import { labelFor } from "./label.js";
import { fit, layOut, type Rectangle } from "./layout.js";
import { blend, colorOf, draw, fill, newPlanes } from "./planes.js";

/** With no frame from anybody, and for whatever falls still. */
const IDLE_INTERVAL_MS = 200;
/** A picture this old is marked as standing still. */
const STALE_AFTER_MS = 3_000;
/** A smaller canvas must have been enough for so long: each change of size costs a key frame. */
const SHRINK_AFTER_MS = 4_000;
/** Never composed less often on account of slow pictures: a camera that speeds up is followed within a second. */
const LEAST_FPS = 10;
const BACKGROUND = colorOf(0x16, 0x19, 0x1d);
const TILE = colorOf(0x24, 0x2a, 0x31);

export interface ComposerOptions {
  readonly width: number;
  readonly height: number;
  readonly max_fps: number;
  readonly writable: WritableStream<VideoFrame>;
  readonly onFailure: (message: string) => void;
}

export class Composer {
  readonly #full: Size;
  #picture: ReturnType<typeof newPlanes>;
  readonly #writer: WritableStreamDefaultWriter<VideoFrame>;
  readonly #onFailure: (message: string) => void;
  readonly #inputs = new Map<string, PictureInput>();
  #pace: ComposePace;
  /** Of the fastest picture in the second before. */
  #fastestFps = Number.POSITIVE_INFINITY;
  #scale = 1;
  /** Since when a smaller canvas would do. */
  #roomSince: number | null = null;
  #layout: ReadonlyMap<string, Rectangle> = new Map();
  /** What each tile showed besides its frame when it was drawn last; a tile that is not here is drawn. */
  readonly #shown = new Map<string, string>();
  #isDrawing = false;
  #composed = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #timerDueAt = Number.POSITIVE_INFINITY;
  #lastTimestampUs = 0;
  #isClosed = false;

  constructor({ width, height, max_fps, writable, onFailure }: ComposerOptions) {
    this.#full = { width, height };
    this.#picture = newPlanes(scaled(this.#full, this.#scale));
    this.#writer = writable.getWriter();
    this.#pace = { max_fps, max_scale: 1 };
    this.#onFailure = onFailure;
    this.#clear();
    this.#schedule(0);
  }

  setPace(pace: ComposePace): void {
    this.#pace = pace;
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

  /** To be called once a second. */
  counts(): ComposeCounts {
    const now = performance.now();
    const inputs = [...this.#inputs.values()].map((input) => input.takeCounts(now));
    this.#fastestFps = Math.max(0, ...inputs.map(({ arrived }) => arrived));
    return { composed: this.#composed, inputs };
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const id of [...this.#inputs.keys()]) this.remove(id);
    this.#writer.close().catch(() => undefined);
  }

  get #wantedFps(): number {
    return Math.min(this.#pace.max_fps, Math.max(this.#fastestFps, LEAST_FPS));
  }

  #layOut(): void {
    const { width, height } = this.#picture;
    this.#layout = layOut([...this.#inputs.values()], width, height);
    this.#clear();
  }

  #clear(): void {
    this.#shown.clear();
    const { width, height } = this.#picture;
    fill(this.#picture, { x: 0, y: 0, width, height }, BACKGROUND);
  }

  #onFrame(): void {
    // A little less than a whole interval: frames of 30 a second must not slip to every other one.
    const intervalMs = Math.max(0, 1_000 / this.#wantedFps - 3);
    const waitMs = this.#drawnAt + intervalMs - performance.now();
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
    // Frames that arrive meanwhile replace each other, and are drawn next.
    if (this.#isClosed || this.#isDrawing) return;
    // A consumer that does not keep up gets fewer frames, not a longer queue, and nothing is drawn for it.
    if ((this.#writer.desiredSize ?? 0) <= 0) {
      this.#schedule(IDLE_INTERVAL_MS / 4);
      return;
    }
    this.#isDrawing = true;
    this.#drawnAt = performance.now();
    this.#compose(this.#drawnAt)
      .catch((error: unknown) => this.#fail(error, "the picture could not be drawn"))
      .finally(() => {
        this.#isDrawing = false;
        this.#schedule(IDLE_INTERVAL_MS);
        if ([...this.#inputs.values()].some(({ undrawnDueAt }) => undrawnDueAt !== null)) this.#onFrame();
      });
  }

  async #compose(now: number): Promise<void> {
    this.#resize(now);
    const dueAt = this.#dueAt(now);
    for (const input of [...this.#inputs.values()]) await this.#paint(input, now);
    if (!this.#isClosed) this.#emit(dueAt);
  }

  #fail(error: unknown, otherwise: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onFailure(error instanceof Error ? error.message : otherwise);
  }

  /** Grows at once where a picture needs it, shrinks at once where the device needs it, otherwise after a while. */
  #resize(now: number): void {
    const { max_scale } = this.#pace;
    const wanted = scaleFor([...this.#inputs.values()], this.#full, max_scale);
    if (wanted >= this.#scale) this.#roomSince = null;
    else this.#roomSince ??= now;
    const mayShrink = this.#scale > max_scale || (this.#roomSince !== null && now - this.#roomSince >= SHRINK_AFTER_MS);
    if (wanted === this.#scale || (wanted < this.#scale && !mayShrink && this.#composed > 0)) return;
    this.#scale = wanted;
    this.#roomSince = null;
    this.#picture = newPlanes(scaled(this.#full, wanted));
    this.#layOut();
  }

  /** The middle of when the new pictures were due: one time must do for all of them. */
  #dueAt(now: number): number {
    const times = [...this.#inputs.values()].map(({ undrawnDueAt }) => undrawnDueAt).filter((time) => time !== null);
    return times.length === 0 ? now : times.reduce((sum, time) => sum + time, 0) / times.length;
  }

  async #paint(input: PictureInput, now: number): Promise<void> {
    const text = labelOf(input, now);
    if (input.undrawnDueAt === null && this.#shown.get(input.id) === text) return;
    const picture = this.#picture;
    const area = this.#layout.get(input.id);
    const planes = area && (await input.planes(area));
    // Meanwhile it may have left, or everything may have moved: it is drawn again then.
    if (!area || this.#layout.get(input.id) !== area) return;
    const tile = evenly(area);
    fill(picture, tile, TILE);
    if (planes) draw(picture, planes, evenly(fit(planes.width, planes.height, tile)));
    if (text) this.#paintLabel(text, tile);
    this.#shown.set(input.id, text);
  }

  #paintLabel(text: string, { x, y, width, height }: Rectangle): void {
    const label = labelFor(text, width, this.#picture.height);
    if (label.height <= height) blend(this.#picture, label, x, (y + height - label.height) & ~1);
  }

  #emit(dueAt: number): void {
    // The recorder drops what is not after the frame before.
    const timestampUs = Math.max(Math.round(dueAt * 1_000), this.#lastTimestampUs + 1);
    this.#lastTimestampUs = timestampUs;
    const { bytes, width, height } = this.#picture;
    const size = { codedWidth: width, codedHeight: height };
    const frame = new VideoFrame(bytes, { format: "I420", ...size, timestamp: timestampUs });
    this.#composed += 1;
    this.#writer.write(frame).catch((error: unknown) => {
      frame.close();
      this.#fail(error, "the composed picture was not taken");
    });
  }
}

function labelOf(input: PictureInput, now: number): string {
  const idleMs = input.idleMs(now);
  const isStale = idleMs === null || idleMs > STALE_AFTER_MS;
  return [input.label, isStale ? "(no picture)" : ""].filter(Boolean).join(" ");
}

/** Colour is kept for two pixels by two. */
function evenly({ x, y, width, height }: Rectangle): Rectangle {
  const [left, top] = [Math.round(x) & ~1, Math.round(y) & ~1];
  return { x: left, y: top, width: Math.max(2, Math.floor(width) & ~1), height: Math.max(2, Math.floor(height) & ~1) };
}
