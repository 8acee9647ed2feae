/** Opening devices, measuring sound: what `<device-check>` does, without what it shows. */

export type DeviceFault = "denied" | "missing" | "busy";

export interface OpenedDevices {
  /** Holds what could be opened; empty when nothing could. */
  stream: MediaStream;
  camera: DeviceFault | null;
  microphone: DeviceFault | null;
}

/** By device: an id, or whichever the browser takes; null leaves it alone. */
export interface WantedDevices {
  camera?: string | null | undefined;
  microphone?: string | null | undefined;
}

/** Opens camera and microphone, together if possible (one prompt), else separately. */
export async function openDevices({ camera, microphone }: WantedDevices): Promise<OpenedDevices> {
  const stream = new MediaStream();
  if (camera === null && microphone === null) return { stream, camera: null, microphone: null };
  // Outside a secure context there is nothing to ask.
  if (!navigator.mediaDevices) return { stream, camera: "missing", microphone: "missing" };
  if (camera !== null && microphone !== null) {
    const constraints = { ...constraintsOf("camera", camera), ...constraintsOf("microphone", microphone) };
    try {
      return { stream: await navigator.mediaDevices.getUserMedia(constraints), camera: null, microphone: null };
    } catch {
      // At least one failed. Opened separately, it reports why.
    }
  }
  const faultOf = async (device: "camera" | "microphone", id: string | null | undefined) => {
    if (id === null) return null;
    try {
      stream.addTrack(await openDevice(device, id));
      return null;
    } catch (error) {
      return faultIn(error);
    }
  };
  const sound = await faultOf("microphone", microphone);
  return { stream, microphone: sound, camera: await faultOf("camera", camera) };
}

/** Opens one device: this one if it is still there, else another. */
export async function openDevice(device: "camera" | "microphone", id?: string): Promise<MediaStreamTrack> {
  const open = async (wanted: string | undefined) => {
    const [track] = (await navigator.mediaDevices.getUserMedia(constraintsOf(device, wanted))).getTracks();
    if (!track) throw new DOMException("no track came", "NotFoundError");
    return track;
  };
  try {
    return await open(id);
  } catch (error) {
    const isGone = error instanceof DOMException && /^(OverconstrainedError|NotFoundError)$/.test(error.name);
    if (id === undefined || !isGone) throw error;
    return open(undefined);
  }
}

function constraintsOf(device: "camera" | "microphone", id: string | undefined): MediaStreamConstraints {
  const chosen = id === undefined ? {} : { deviceId: { exact: id } };
  return device === "camera"
    ? { video: { width: { ideal: 1280 }, height: { ideal: 720 }, ...chosen } }
    : { audio: { echoCancellation: true, noiseSuppression: true, ...chosen } };
}

function faultIn(error: unknown): DeviceFault {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  return name === "NotReadableError" || name === "AbortError" ? "busy" : "missing";
}

/** Reports the level of a stream's sound, 0..1 root mean square, ten times a second. */
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

/** What of a device decides how its picker looks. */
export const deviceIds = ({ kind, deviceId, label }: MediaDeviceInfo): string => `${kind}/${deviceId}/${label}`;
