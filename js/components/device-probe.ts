/** Opening devices, measuring sound, playing tones: what `<device-check>` does, without what it shows. */

export type DeviceFault = "denied" | "missing" | "busy";

export interface OpenedDevices {
  /** Holds what could be opened; empty when nothing could. */
  stream: MediaStream;
  camera: DeviceFault | null;
  microphone: DeviceFault | null;
}

/** Opens camera and microphone, together if possible (one question), else each by itself. */
export async function openDevices({
  camera,
  microphone,
}: {
  camera?: string;
  microphone?: string;
}): Promise<OpenedDevices> {
  const video: MediaTrackConstraints = {
    width: { ideal: 1280 },
    height: { ideal: 720 },
    ...(camera !== undefined && { deviceId: { exact: camera } }),
  };
  const audio: MediaTrackConstraints = {
    echoCancellation: true,
    noiseSuppression: true,
    ...(microphone !== undefined && { deviceId: { exact: microphone } }),
  };
  // Outside a secure context there is nothing to ask.
  if (!navigator.mediaDevices) return { stream: new MediaStream(), camera: "missing", microphone: "missing" };
  try {
    return { stream: await navigator.mediaDevices.getUserMedia({ audio, video }), camera: null, microphone: null };
  } catch {
    const [sound, picture] = [await tryOpen({ audio }), await tryOpen({ video })];
    const tracks = [sound, picture].flatMap((opened) => (typeof opened === "string" ? [] : opened.getTracks()));
    return {
      stream: new MediaStream(tracks),
      camera: typeof picture === "string" ? picture : null,
      microphone: typeof sound === "string" ? sound : null,
    };
  }
}

async function tryOpen(constraints: MediaStreamConstraints): Promise<MediaStream | DeviceFault> {
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") return "denied";
    return name === "NotReadableError" || name === "AbortError" ? "busy" : "missing";
  }
}

/** Tells the level of a stream's sound, 0..1 root mean square, ten times a second. */
export class LevelMeter {
  readonly #context = new AudioContext();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(stream: MediaStream, onlevel: (level: number) => void) {
    const analyser = new AnalyserNode(this.#context, { fftSize: 1024 });
    this.#context.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      onlevel(Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length));
    }, 100);
  }

  close(): void {
    clearInterval(this.#timer);
    void this.#context.close();
  }
}

/** Two tones, a fifth apart, on the chosen speaker. */
export async function playTestTones(speakerId: string): Promise<void> {
  const context = new AudioContext();
  try {
    if (speakerId !== "" && "setSinkId" in context)
      await (context as AudioContext & { setSinkId(id: string): Promise<void> }).setSinkId(speakerId);
    for (const [index, hertz] of [440, 660].entries()) {
      const tone = new OscillatorNode(context, { frequency: hertz });
      tone.connect(new GainNode(context, { gain: 0.2 })).connect(context.destination);
      tone.start(context.currentTime + index * 0.5);
      tone.stop(context.currentTime + index * 0.5 + 0.4);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_100));
  } finally {
    await context.close();
  }
}

/** What of a device decides how its picker looks. */
export const deviceIds = ({ kind, deviceId, label }: MediaDeviceInfo): string => `${kind}/${deviceId}/${label}`;
