/**
 * The own microphone, camera and screen, as they are sent: muting, switching devices, sharing.
 *
 * Camera off lets the device go dark; microphone off keeps it, so that it is back at once.
 */
import type { MediaSource } from "sealed-visit";
import type { CallMedia } from "./call.js";

type Device = "microphone" | "camera";

export class LocalMedia extends EventTarget {
  readonly #media: CallMedia;
  #microphone: MediaStreamTrack | null;
  #camera: MediaStreamTrack | null;
  readonly #lost = new Set<Device>();
  readonly #taken = new Set<Device>();
  #screenId: string | null = null;
  #isMuted = false;

  constructor(media: CallMedia, stream: MediaStream | null) {
    super();
    this.#media = media;
    this.#microphone = stream?.getAudioTracks()[0] ?? null;
    this.#camera = stream?.getVideoTracks()[0] ?? null;
    media.on("local_ended", ({ source }) => void this.#onEnded(source));
    for (const { source, isInterrupted } of media.local)
      if (isInterrupted && source !== "screen") this.#taken.add(source);
    media.on("local_interrupted", ({ source }) => this.#onTaken(source, true));
    media.on("local_resumed", ({ source }) => this.#onTaken(source, false));
  }

  /** Devices that were unplugged, or taken by another program, and not turned on again. */
  get lost(): ReadonlySet<Device> {
    return this.#lost;
  }

  /** Devices that the system has taken for now, and gives back by itself: for a phone call, by a lid or a switch. */
  get taken(): ReadonlySet<Device> {
    return this.#taken;
  }

  get isMuted(): boolean {
    return this.#isMuted || this.#microphone === null;
  }

  get isCameraOff(): boolean {
    return this.#camera === null;
  }

  get isSharing(): boolean {
    return this.#screenId !== null;
  }

  /** What the own tile shows. */
  get picture(): MediaStreamTrack | null {
    return this.#camera;
  }

  async toggleMicrophone(): Promise<void> {
    if (this.#microphone === null) {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true },
      });
      await this.#use("microphone", stream.getAudioTracks()[0] ?? null);
      this.#isMuted = false;
    } else {
      this.#isMuted = !this.#isMuted;
      this.#media.setMuted("microphone", this.#isMuted);
    }
    this.#changed();
  }

  async toggleCamera(): Promise<void> {
    if (this.#camera) {
      const track = this.#camera;
      await this.#use("camera", null);
      track.stop();
    } else {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 1280 }, height: { ideal: 720 } },
      });
      await this.#use("camera", stream.getVideoTracks()[0] ?? null);
    }
    this.#changed();
  }

  async toggleScreen(): Promise<void> {
    if (this.#screenId !== null) {
      const shared = this.#media.local.find(({ id }) => id === this.#screenId);
      shared?.mediaTrack?.stop();
      await this.#media.remove(this.#screenId);
      this.#screenId = null;
    } else {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
      const track = stream.getVideoTracks()[0];
      if (!track) return;
      track.addEventListener("ended", () => {
        this.#screenId = null;
        this.#changed();
      });
      this.#screenId = (await this.#media.add(track, { source: "screen" })).id;
    }
    this.#changed();
  }

  /** Other devices were chosen: sent from now on, without a new connection. */
  async switchTo(stream: MediaStream): Promise<void> {
    const [microphone, camera] = [stream.getAudioTracks()[0], stream.getVideoTracks()[0]];
    if (microphone) {
      microphone.enabled = !this.#isMuted;
      await this.#use("microphone", microphone);
    }
    if (camera) await this.#use("camera", camera);
    this.#changed();
  }

  /** Lights out. */
  stop(): void {
    for (const { mediaTrack } of this.#media.local) mediaTrack?.stop();
    this.#camera?.stop();
    this.#microphone?.stop();
  }

  /** Shown as off, so that one press turns it on again. */
  async #onEnded(source: MediaSource): Promise<void> {
    if (source === "screen") return;
    await this.#use(source, null);
    this.#lost.add(source);
    this.#changed();
  }

  #onTaken(source: MediaSource, isTaken: boolean): void {
    if (source === "screen") return;
    if (isTaken) this.#taken.add(source);
    else this.#taken.delete(source);
    this.#changed();
  }

  async #use(source: Device, track: MediaStreamTrack | null): Promise<void> {
    const before = source === "microphone" ? this.#microphone : this.#camera;
    const sent = this.#media.local.find((local) => local.source === source);
    if (sent) await this.#media.replaceTrack(sent.id, track);
    else if (track) await this.#media.add(track, { source });
    if (source === "microphone") this.#microphone = track;
    else this.#camera = track;
    if (before && before !== track) before.stop();
    if (track) this.#lost.delete(source);
  }

  #changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
