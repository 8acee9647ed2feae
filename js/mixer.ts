/** Everybody's sound in one track, through WebAudio, with a meter for each. Works in hidden tabs. */
import { SealedVisitError } from "./errors.js";

/** Below this root mean square (full scale 1) a sound counts as digital silence. */
const SILENCE_RMS = 1e-5;

interface Input {
  readonly element: HTMLAudioElement;
  readonly source: MediaStreamAudioSourceNode;
  readonly analyser: AnalyserNode;
  readonly samples: Float32Array<ArrayBuffer>;
}

export interface Level {
  readonly rms: number;
  readonly isSilent: boolean;
}

/** @internal */
export class Mixer {
  readonly #context = new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" });
  readonly #destination = this.#context.createMediaStreamDestination();
  readonly #inputs = new Map<string, Input>();

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
    silence.start();
    const timeout = new Promise((resolve) => setTimeout(resolve, 2_000));
    await Promise.race([this.#context.resume(), timeout]);
    if (this.#context.state !== "running") {
      throw new SealedVisitError("capture-failed", "the browser does not let this page process sound before a click", {
        detail: { what: "audio_suspended" },
      });
    }
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
    analyser.fftSize = 2_048;
    source.connect(analyser).connect(this.#destination);
    this.#inputs.set(id, { element, source, analyser, samples: new Float32Array(analyser.fftSize) });
  }

  remove(id: string): void {
    const input = this.#inputs.get(id);
    if (!input) return;
    this.#inputs.delete(id);
    input.source.disconnect();
    input.analyser.disconnect();
    input.element.srcObject = null;
  }

  /** The level of each input over the last 43 ms. */
  levels(): ReadonlyMap<string, Level> {
    const levels = new Map<string, Level>();
    for (const [id, { analyser, samples }] of this.#inputs) {
      analyser.getFloatTimeDomainData(samples);
      const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
      levels.set(id, { rms, isSilent: rms < SILENCE_RMS });
    }
    return levels;
  }

  async close(): Promise<void> {
    for (const id of [...this.#inputs.keys()]) this.remove(id);
    await this.#context.close().catch(() => undefined);
  }
}
