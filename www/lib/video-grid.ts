/**
 * The pictures: one tile for each person and each shared screen, the own picture small in a corner.
 *
 * Each person's tile plays their sound. This module measures who is speaking from the incoming audio.
 */
import { icon, stringsFor } from "sealed-visit/components";
import type { RemoteTrack, VisitState } from "sealed-visit";
import { language, words } from "../strings/index.js";
import type { CallMedia } from "./call.js";
import { fill, h } from "./dom.js";

/** Root mean square from which someone counts as talking. */
const TALKING_LEVEL = 0.015;
const LEVEL_EVERY_MS = 300;
/** A picture that stands still for so long is taken off: the camera is off, or nothing arrives. */
const STILL_MS = 2_500;

interface Tile {
  readonly element: HTMLElement;
  readonly video: HTMLVideoElement;
  readonly name: HTMLElement;
  readonly blank: HTMLElement;
  /** When a picture was last drawn, on `performance.now()`. */
  drawn_ms: number;
}

export type Layout = "grid" | "speaker";

export class VideoGrid {
  readonly element = h("div", { class: "stage", role: "region" });

  readonly #tiles = h("div", { class: "tiles", "data-layout": "grid", "data-testid": "tiles" });
  readonly #alone = h("p", { class: "alone" });
  readonly #self = makeTile("self", "tile-self");
  readonly #byKey = new Map<string, Tile>();
  readonly #sounds = new Map<string, HTMLAudioElement>();
  readonly #levels = new Map<string, () => number>();
  #context: AudioContext | undefined;
  #speaker: string | undefined;
  #speakerId = "";
  #state: VisitState;

  constructor(state: VisitState) {
    this.#state = state;
    this.#self.video.muted = true;
    fill(this.element, this.#alone, this.#tiles, this.#self.element);
    setInterval(() => this.#findSpeaker(), LEVEL_EVERY_MS);
    this.update(state);
  }

  get layout(): Layout {
    return this.#tiles.dataset.layout as Layout;
  }

  set layout(layout: Layout) {
    this.#tiles.dataset.layout = layout;
  }

  /** Which speaker sound comes from; ignored where browsers do not let pages choose. */
  set speakerId(id: string) {
    this.#speakerId = id;
    for (const sound of this.#sounds.values()) this.#route(sound);
  }

  connect(media: CallMedia): void {
    for (const remote of media.remotes) this.#add(remote);
    media.on("remote_added", (remote) => this.#add(remote));
    media.on("remote_removed", (remote) => this.#drop(remote));
  }

  /** The own picture; null shows that the camera is off. */
  showSelf(track: MediaStreamTrack | null): void {
    this.#self.video.srcObject = track ? new MediaStream([track]) : null;
    this.#self.blank.hidden = track !== null;
  }

  update(state: VisitState): void {
    this.#state = state;
    const text = words().call;
    this.element.setAttribute("aria-label", text.videos);
    this.#self.name.textContent = text.you;
    const people = state.roster.filter(({ is_me, role }) => !is_me && role !== "recorder" && role !== "server");
    for (const { participant } of people) this.#tile(`${participant}/camera`);
    for (const key of [...this.#byKey.keys()]) {
      const [participant] = key.split("/");
      if (!people.some((entry) => entry.participant === participant)) this.#removeTile(key);
    }
    for (const [key, tile] of this.#byKey) {
      const [participant, source] = key.split("/");
      const entry = people.find((candidate) => candidate.participant === participant);
      const name = entry?.name ?? "";
      const role = entry ? stringsFor(language()).role[entry.role] : "";
      showName(tile.name, source === "screen" ? text.screen_of.replace("{name}", name) : name, role);
      tile.blank.lastChild?.replaceWith(text.no_picture);
    }
    this.#alone.textContent = text.alone;
    this.#alone.hidden = people.length > 0;
    this.#tiles.hidden = people.length === 0;
    this.#markSpeaker();
  }

  #add(remote: RemoteTrack): void {
    if (remote.kind === "audio") {
      const sound = new Audio();
      sound.srcObject = new MediaStream([remote.mediaTrack]);
      sound.dataset.participant = remote.participant;
      this.#sounds.set(remote.id, sound);
      this.#route(sound);
      // A browser that wants a gesture first has had one: the click on “Join”.
      void sound.play().catch(() => undefined);
      this.#watchLevel(remote);
      return;
    }
    const tile = this.#tile(`${remote.participant}/${remote.source}`);
    tile.video.srcObject = new MediaStream([remote.mediaTrack]);
    this.update(this.#state);
  }

  #drop(remote: RemoteTrack): void {
    if (remote.kind === "audio") {
      const sound = this.#sounds.get(remote.id);
      if (sound) sound.srcObject = null;
      this.#sounds.delete(remote.id);
      this.#levels.delete(remote.id);
      return;
    }
    const key = `${remote.participant}/${remote.source}`;
    if (remote.source === "screen") this.#removeTile(key);
    else {
      const tile = this.#tile(key);
      tile.video.srcObject = null;
      tile.blank.hidden = false;
    }
  }

  #tile(key: string): Tile {
    const present = this.#byKey.get(key);
    if (present) return present;
    const [participant = "", source = "camera"] = key.split("/");
    const tile = makeTile(source, `tile-${participant}${source === "screen" ? "-screen" : ""}`);
    // Sound is played apart, so that a picture that stalls takes no sound with it.
    tile.video.muted = true;
    this.#byKey.set(key, tile);
    this.#tiles.append(tile.element);
    return tile;
  }

  #removeTile(key: string): void {
    this.#byKey.get(key)?.element.remove();
    this.#byKey.delete(key);
  }

  #route(sound: HTMLAudioElement): void {
    if (this.#speakerId !== "" && "setSinkId" in sound) void sound.setSinkId(this.#speakerId).catch(() => undefined);
  }

  #watchLevel({ id, participant, mediaTrack }: RemoteTrack): void {
    this.#context ??= new AudioContext();
    const analyser = new AnalyserNode(this.#context, { fftSize: 512 });
    this.#context.createMediaStreamSource(new MediaStream([mediaTrack])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#levels.set(id, () => {
      analyser.getFloatTimeDomainData(samples);
      const level = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
      if (level > TALKING_LEVEL) this.#talking.set(participant, level);
      return level;
    });
  }

  readonly #talking = new Map<string, number>();

  #findSpeaker(): void {
    this.#talking.clear();
    for (const tile of this.#byKey.values()) showWhetherMoving(tile);
    for (const level of this.#levels.values()) level();
    const loudest = [...this.#talking].sort(([, a], [, b]) => b - a)[0];
    if (loudest) this.#speaker = loudest[0];
    this.#markSpeaker();
  }

  /** A shared screen stays large; otherwise the last speaker, or the first person. */
  #markSpeaker(): void {
    const keys = [...this.#byKey.keys()];
    const large =
      keys.find((key) => key.endsWith("/screen")) ?? keys.find((key) => key === `${this.#speaker}/camera`) ?? keys[0];
    for (const [key, { element }] of this.#byKey) {
      element.classList.toggle("speaking-now", key === large);
      element.classList.toggle("talks", this.#talking.has(key.split("/")[0] ?? "") && key.endsWith("/camera"));
    }
  }
}

/** A long name is cut; the role, which the clinic gave, is not. */
function showName(plate: HTMLElement, name: string, role: string): void {
  const whole = [name, role].filter(Boolean).join(" · ");
  if (plate.title === whole) return;
  plate.title = whole;
  fill(plate, h("bdi", { class: "tile-name" }, name), name !== "" && " · ", h("span", {}, role));
}

function makeTile(kind: string, testid: string): Tile {
  const video = h("video", { autoplay: true, playsinline: true });
  const name = h("span", { class: "nameplate", dir: "auto" });
  const blank = h("span", { class: "no-picture" }, icon("camera_off"), "");
  const element = h("figure", { class: `tile ${kind}`, "data-testid": testid }, video, blank, name);
  const tile: Tile = { element, video, name, blank, drawn_ms: Number.NEGATIVE_INFINITY };
  const drawn = () => {
    tile.drawn_ms = performance.now();
    video.requestVideoFrameCallback(drawn);
  };
  if (typeof video.requestVideoFrameCallback === "function") video.requestVideoFrameCallback(drawn);
  return tile;
}

/** Events of the track tell less: not every browser says when pictures stop. */
function showWhetherMoving({ video, blank, drawn_ms }: Tile): void {
  const counted = Number.isFinite(drawn_ms) || typeof video.requestVideoFrameCallback === "function";
  blank.hidden = counted ? performance.now() - drawn_ms < STILL_MS : video.videoWidth > 0;
}
