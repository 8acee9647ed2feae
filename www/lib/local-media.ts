/**
 * The own microphone, camera and screen, as they are sent: muting, switching devices, sharing.
 *
 * What the person wants is state, the devices follow it: one that comes late, after it was turned off again or after the
 * visit, is stopped at once. Camera off lets the device go dark; microphone off keeps it, so that it is back at once.
 */
import type { MediaSource } from "sealed-visit";
import type { CallMedia } from "./call.js";
import { type Device, type DeviceChoices, idsIn, keepChoices, keptChoices } from "./device-choice.js";

type OpenDevice = (device: Device, id?: string) => Promise<MediaStreamTrack>;

const devices = ["microphone", "camera"] as const;

export class LocalMedia extends EventTarget {
  readonly #media: CallMedia;
  readonly #open: OpenDevice;
  readonly #tracks: Record<Device, MediaStreamTrack | null>;
  readonly #wanted: DeviceChoices;
  /** Counts requests per device: the result of an earlier request is discarded. */
  readonly #turns: Record<Device, number> = { microphone: 0, camera: 0 };
  readonly #lost = new Set<Device>();
  readonly #taken = new Set<Device>();
  #screenId: string | null = null;
  #isPreviewing = false;
  #isStopped = false;

  /** `open` opens a device: this one if it is still there, else another. */
  constructor(media: CallMedia, stream: MediaStream | null, open: OpenDevice) {
    super();
    this.#media = media;
    this.#open = open;
    this.#tracks = {
      microphone: stream?.getAudioTracks()[0] ?? null,
      camera: stream?.getVideoTracks()[0] ?? null,
    };
    this.#wanted = keptChoices();
    for (const device of devices) {
      const track = this.#tracks[device];
      // A microphone that was muted before a reload is open, and sends nothing.
      this.#wanted[device].on = track !== null && (device === "camera" || this.#wanted.microphone.on);
      if (track) Object.assign(this.#wanted[device], idOf(track));
    }
    if (!this.#wanted.microphone.on) this.#media.setMuted("microphone", true);
    keepChoices(this.#wanted);
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

  /** Devices that the system has taken and will give back: for a phone call, by a lid or a switch. */
  get taken(): ReadonlySet<Device> {
    return this.#taken;
  }

  get isMuted(): boolean {
    return !this.#wanted.microphone.on || this.#tracks.microphone === null;
  }

  get isCameraOff(): boolean {
    return this.#tracks.camera === null;
  }

  get isSharing(): boolean {
    return this.#screenId !== null;
  }

  /** What the own tile shows. */
  get picture(): MediaStreamTrack | null {
    return this.#tracks.camera;
  }

  /** Those that are wanted, also of what is off. */
  get ids(): Partial<Record<Device, string>> {
    return idsIn(this.#wanted);
  }

  toggleMicrophone(): Promise<void> {
    return this.#want("microphone", !this.#wanted.microphone.on);
  }

  toggleCamera(): Promise<void> {
    return this.#want("camera", !this.#wanted.camera.on);
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
      if (this.#isStopped) {
        track.stop();
        return;
      }
      track.addEventListener("ended", () => {
        this.#screenId = null;
        this.#changed();
      });
      this.#screenId = (await this.#media.add(track, { source: "screen" })).id;
    }
    this.#changed();
  }

  /**
   * What is on now, to be looked at while other devices are tried; what is off stays off. Nothing that is sent changes
   * until `endPreview`, except where the browser itself ends one track when another is opened.
   */
  beginPreview(): MediaStream {
    this.#isPreviewing = true;
    const tracks = devices.flatMap((device) => (this.#wanted[device].on ? (this.#tracks[device] ?? []) : []));
    return new MediaStream(tracks.map((track) => track.clone()));
  }

  /** The devices that were chosen meanwhile are the ones from now on, for what is on and for what is turned on later. */
  async endPreview(chosen: Partial<Record<Device, string>>): Promise<void> {
    this.#isPreviewing = false;
    for (const device of devices) {
      const { [device]: id } = chosen;
      const track = this.#tracks[device];
      const isOther = id !== undefined && id !== (track ? idOf(track).id : this.#wanted[device].id);
      if (id !== undefined) this.#wanted[device].id = id;
      if (this.#wanted[device].on && (isOther || track?.readyState === "ended")) await this.#follow(device, true);
      // Muted: the other one is opened when it is wanted.
      else if (isOther && track) await this.#use(device, null);
    }
    keepChoices(this.#wanted);
    this.#changed();
  }

  /** Lights out, and they stay out. */
  stop(): void {
    this.#isStopped = true;
    for (const { mediaTrack } of this.#media.local) mediaTrack?.stop();
    for (const device of devices) this.#tracks[device]?.stop();
  }

  async #want(device: Device, on: boolean): Promise<void> {
    this.#wanted[device].on = on;
    keepChoices(this.#wanted);
    await this.#follow(device);
  }

  async #follow(device: Device, anew = false): Promise<void> {
    const turn = ++this.#turns[device];
    const isWanted = () => turn === this.#turns[device] && !this.#isStopped;
    const { on, id } = this.#wanted[device];
    const current = this.#tracks[device];
    if (current && !anew && device === "microphone") this.#media.setMuted("microphone", !on);
    else if (!on) await this.#use(device, null);
    else {
      let track: MediaStreamTrack;
      try {
        track = await this.#open(device, id);
      } catch (error) {
        if (isWanted()) {
          this.#wanted[device].on = this.#tracks[device]?.readyState === "live";
          keepChoices(this.#wanted);
          this.#changed();
        }
        throw error;
      }
      if (!isWanted()) {
        track.stop();
        return;
      }
      await this.#use(device, track);
    }
    this.#changed();
  }

  /** Shown as off, so that one press turns it on again. */
  async #onEnded(source: MediaSource): Promise<void> {
    // Ended by the browser, because another one is being tried: `endPreview` opens what is wanted.
    if (source === "screen" || this.#isPreviewing) return;
    this.#wanted[source].on = false;
    this.#turns[source] += 1;
    keepChoices(this.#wanted);
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

  /** What is shown changes at once; what is sent follows in the same order. */
  async #use(device: Device, track: MediaStreamTrack | null): Promise<void> {
    const before = this.#tracks[device];
    this.#tracks[device] = track;
    if (before && before !== track) before.stop();
    if (track) {
      Object.assign(this.#wanted[device], idOf(track));
      keepChoices(this.#wanted);
      this.#lost.delete(device);
    }
    const sent = this.#media.local.find((local) => local.source === device);
    if (sent) await this.#media.replaceTrack(sent.id, track);
    else if (track) await this.#media.add(track, { source: device });
  }

  #changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}

function idOf(track: MediaStreamTrack): { id?: string } {
  const { deviceId } = track.getSettings();
  return deviceId ? { id: deviceId } : {};
}
