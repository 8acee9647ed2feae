/** Everyone's sound in one track, through WebAudio, with a meter for each. Works in hidden tabs. */
import { SealedVisitError } from "./errors.js";
import { makeLimiter } from "./limiter.js";
import { type SoundHooks, SoundWatch } from "./sound-watch.js";

/** Below this (full scale 1) a sample counts as digital silence; a microphone's own noise is above. */
const SILENCE = 1e-4;
/** With the window, in which the last sound is still found, and what HealthWatch waits for, less than 5 s. */
const SILENT_AFTER_MS = 750;
/** 683 ms: longer than the time between two slices. */
const WINDOW_SAMPLES = 32_768;

interface Input {
  readonly element: HTMLAudioElement;
  readonly source: MediaStreamAudioSourceNode;
  readonly analyser: AnalyserNode;
  readonly samples: Float32Array<ArrayBuffer>;
  heardAt: number;
}

export interface Level {
  readonly isSilent: boolean;
}

/** @internal */
export class Mixer {
  readonly #context = new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" });
  readonly #destination = this.#context.createMediaStreamDestination();
  readonly #limiter = makeLimiter(this.#context);
  readonly #inputs = new Map<string, Input>();
  readonly #hooks: SoundHooks;
  #watch: SoundWatch | null = null;

  constructor(hooks: SoundHooks) {
    this.#hooks = hooks;
  }

  /** The mixed sound. */
  get track(): MediaStreamTrack {
    const [track] = this.#destination.stream.getAudioTracks();
    if (!track) throw new SealedVisitError("capture-failed", "WebAudio made no track");
    return track;
  }

  /** Needs that the person has clicked on the page before (autoplay policy). */
  async start(): Promise<void> {
    // Silence that never ends: the recording has sound from its first slice to its last.
    const silence = this.#context.createConstantSource();
    const nothing = this.#context.createGain();
    nothing.gain.value = 0;
    silence.connect(nothing).connect(this.#destination);
    this.#limiter.output.connect(this.#destination);
    silence.start();
    const timeout = new Promise((resolve) => setTimeout(resolve, 2_000));
    await Promise.race([this.#context.resume(), timeout]);
    if (this.#context.state !== "running") {
      throw new SealedVisitError("capture-failed", "the browser does not let this page process sound before a click", {
        detail: { what: "audio_suspended" },
      });
    }
    this.#watch = new SoundWatch(this.#context, this.#hooks);
  }

  /** Whether nothing is mixed now. */
  get isStill(): boolean {
    return this.#watch?.isStill ?? false;
  }

  /** To be called every second: a context can stand still and not say so. */
  look(): void {
    this.#watch?.look();
  }

  add(id: string, track: MediaStreamTrack): void {
    this.remove(id);
    const stream = new MediaStream([track]);
    // Chromium delivers a remote track's sound to WebAudio only while an element plays it, muted or not.
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    element.play().catch(() => undefined);
    const source = this.#context.createMediaStreamSource(stream);
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = WINDOW_SAMPLES;
    source.connect(analyser).connect(this.#limiter.input);
    const samples = new Float32Array(analyser.fftSize);
    this.#inputs.set(id, { element, source, analyser, samples, heardAt: performance.now() });
  }

  remove(id: string): void {
    const input = this.#inputs.get(id);
    if (!input) return;
    this.#inputs.delete(id);
    input.source.disconnect();
    input.analyser.disconnect();
    input.element.srcObject = null;
  }

  /** Listens to every input. To be called more often than a window lasts, so that nothing is missed. */
  sample(): void {
    // The samples of a context that stands still are old.
    if (this.isStill) return;
    for (const input of this.#inputs.values()) {
      input.analyser.getFloatTimeDomainData(input.samples);
      if (input.samples.some((sample) => Math.abs(sample) > SILENCE)) input.heardAt = performance.now();
    }
  }

  /** Which inputs were heard lately; the others sent digital silence. */
  levels(): ReadonlyMap<string, Level> {
    this.sample();
    const now = performance.now();
    return new Map([...this.#inputs].map(([id, { heardAt }]) => [id, { isSilent: now - heardAt > SILENT_AFTER_MS }]));
  }

  async close(): Promise<void> {
    this.#watch?.stop();
    for (const id of [...this.#inputs.keys()]) this.remove(id);
    await this.#context.close().catch(() => undefined);
  }
}
