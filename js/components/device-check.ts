/**
 * `<device-check>`: camera, microphone with a level, speaker, connection and browser, before joining.
 *
 * Properties: `support` (what the package's `support()` said), `ping` (how to reach the clinic; resolves
 * when it answered), `uses` (the relay, and the vault for who will record: both are tried, and UDP to the media server).
 * After the check `stream` holds the camera and microphone that were opened, and belongs to the page; `chosen` what a person picked; `speakerId` the speaker. Sends `sv-devices` when they change.
 *
 * A denied or missing device is no reason to keep anyone out: each line says what to do.
 */
import { type DeviceFault, deviceIds, LevelMeter, openDevices, type WantedDevices } from "./device-probe.js";
import { h, replaceChildren } from "./dom.js";
import { VisitElement } from "./element.js";
import { formatText } from "./format.js";
import { type IconName, icon } from "./icons.js";
import type { LineName, LineResult, LineUses } from "./line-check.js";
import type { Strings } from "./strings/index.js";

export interface SupportReport {
  ok: boolean;
  /** In words for people who debug; empty when `ok`. */
  reasons: readonly string[];
}

type Outcome = "unknown" | "good" | "warning" | "bad";
type Line = "camera" | "microphone" | "speaker" | "browser" | LineName;

const lineIcons = { network: "network", relay: "lock", media: "camera", vault: "server" } as const;

const css = `
.check { display: grid; grid-template-columns: auto 1fr; gap: 0.25em 0.75em; padding-block: 0.75em; border-block-end: 1px solid var(--_line); }
.check:last-of-type { border-block-end: 0; }
.check > .icon { margin-block-start: 0.15em; }
.check .detail { grid-column: 2; display: grid; gap: 0.5em; min-inline-size: 0; }
.title { font-weight: 600; }
.outcome { display: flex; gap: 0.4em; align-items: flex-start; }
.good .outcome .icon { color: var(--_good); }
.bad .outcome { color: var(--_alert); }
video { inline-size: 100%; max-inline-size: 320px; aspect-ratio: 16 / 9; border-radius: var(--_radius); background: #000; object-fit: cover; transform: scaleX(-1); }
meter { inline-size: 100%; max-inline-size: 320px; block-size: 1em; }
.pick { display: grid; gap: 0.25em; }
`;

/** From this level on a voice is heard, and not only the room (0..1, root mean square). */
const VOICE_LEVEL = 0.02;

export class DeviceCheckElement extends VisitElement {
  support: SupportReport | undefined;
  ping: ((signal: AbortSignal) => Promise<void>) | undefined;
  uses: LineUses | undefined;
  /** The chosen devices; null until they were opened. */
  stream: MediaStream | null = null;
  /** Ids of devices that were picked here. */
  readonly chosen: { camera?: string; microphone?: string } = {};
  speakerId = "";

  readonly #meter = h("meter", { min: 0, max: 1, low: VOICE_LEVEL, "data-testid": "level" });
  readonly #video = h("video", { autoplay: true, playsinline: true, "data-testid": "preview" });
  readonly #lines = new Map<Line, { outcome: Outcome; say: (words: Strings["devices"]) => string }>();
  /** Loaded when the line is checked. */
  #lineCheck: typeof import("./line-check.js") | undefined;
  #checkingLine: AbortController | undefined;
  #level: LevelMeter | undefined;
  #devices: MediaDeviceInfo[] = [];
  #heard = false;
  /** Counts openings: a late result of an earlier one is discarded. */
  #turn = 0;
  #wanted: { camera?: string; microphone?: string } = {};

  constructor() {
    super(css);
    this.#video.muted = true;
  }

  /**
   * Runs every check that needs no permission; and opens devices where `withDevices`: those that `wanted` names, where they
   * are still there, and none of what is `off`. With `showing` these tracks are looked at, and only what is picked is opened.
   */
  async start({
    withDevices,
    wanted = {},
    off = [],
    showing,
  }: {
    withDevices: boolean;
    wanted?: { camera?: string; microphone?: string };
    off?: readonly ("camera" | "microphone")[];
    showing?: MediaStream;
  }): Promise<void> {
    const { ok = true, reasons = [] } = this.support ?? {};
    this.#set("browser", ok ? "good" : "bad", (words) =>
      ok ? words.browser_ok : formatText(words.browser_failed, { reason: reasons.join("; ") }),
    );
    this.#set("speaker", "unknown", (words) => words.speaker_hint);
    this.#set("camera", "unknown", (words) => words.camera_off);
    this.#set("microphone", "unknown", (words) => words.microphone_off);
    this.#wanted = wanted;
    if (showing) await this.#show(showing, { camera: null, microphone: null });
    await Promise.all([
      this.#checkLine(),
      withDevices
        ? this.openDevices({ ...wanted, ...Object.fromEntries(off.map((device) => [device, null])) })
        : undefined,
    ]);
  }

  /** Asks for camera and microphone; each may fail separately. */
  async openDevices(wanted: WantedDevices = {}): Promise<void> {
    for (const device of ["camera", "microphone"] as const)
      if (wanted[device] !== null) this.#set(device, "unknown", (words) => words.checking);
    const turn = ++this.#turn;
    // What is off, or was opened before and is not asked for now, stays.
    const kept = [
      ...(wanted.camera === null ? (this.stream?.getVideoTracks() ?? []) : []),
      ...(wanted.microphone === null ? (this.stream?.getAudioTracks() ?? []) : []),
    ];
    this.#stopStream(kept);
    this.stream = kept.length > 0 ? new MediaStream(kept) : null;
    const { stream, ...faults } = await openDevices(wanted);
    if (turn !== this.#turn) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    await this.#show(new MediaStream([...kept, ...stream.getTracks()]), faults);
    this.emit("sv-devices", { stream: this.stream, chosen: this.chosen, speakerId: this.speakerId });
  }

  async #show(stream: MediaStream, faults: Record<"camera" | "microphone", DeviceFault | null>): Promise<void> {
    this.stream = stream;
    this.#devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    const [hasPicture, hasSound] = [stream.getVideoTracks().length > 0, stream.getAudioTracks().length > 0];
    this.#video.srcObject = hasPicture ? stream : null;
    const outcome = (isGood: boolean, fault: DeviceFault | null, good: Outcome) =>
      isGood ? good : fault ? "warning" : "unknown";
    const why = (words: Strings["devices"], fault: DeviceFault | null, off: string) =>
      fault ? `${words[fault]} ${off}` : off;
    this.#set("camera", outcome(hasPicture, faults.camera, "good"), (words) =>
      hasPicture ? words.camera_ok : why(words, faults.camera, words.camera_off),
    );
    this.#set("microphone", outcome(hasSound, faults.microphone, "warning"), (words) =>
      hasSound ? words.microphone_quiet : why(words, faults.microphone, words.microphone_off),
    );
    if (hasSound) this.#listen(stream);
  }

  /** Stops what the check itself uses; the stream stays the page's. */
  finish(): void {
    this.#level?.close();
    this.#level = undefined;
    this.#video.srcObject = null;
  }

  /** Finishes, and hands over what is open by now. Devices that open later are stopped. */
  release(): MediaStream | null {
    this.#turn += 1;
    this.#checkingLine?.abort();
    this.finish();
    return this.stream;
  }

  /** Not when a page only puts it into another place, as on a change of language. */
  disconnectedCallback(): void {
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#checkingLine?.abort();
      this.finish();
    });
  }

  /** Devices that are opened late, after this, are stopped. */
  close(): void {
    this.#turn += 1;
    this.#checkingLine?.abort();
    this.#stopStream();
  }

  protected override render(): void {
    const { devices: words } = this.strings;
    this.drawIfChanged(
      [this.#said(), this.#devices.map(deviceIds), this.stream?.id, this.#level === undefined, words],
      () => {
        const opened = this.stream !== null;
        const hasPicture = (this.stream?.getVideoTracks().length ?? 0) > 0;
        const hasSound = (this.stream?.getAudioTracks().length ?? 0) > 0;
        this.#video.setAttribute("aria-label", words.preview);
        this.#meter.setAttribute("aria-label", words.level);
        replaceChildren(
          this.root,
          h("h3", { id: "title" }, words.title),
          h(
            "div",
            { role: "group", "aria-labelledby": "title", "data-testid": "device-check" },
            !opened &&
              h(
                "button",
                { type: "button", class: "primary", "data-testid": "open-devices", onclick: () => this.openDevices() },
                icon("camera"),
                words.start,
              ),
            this.#line(
              "camera",
              "camera",
              hasPicture && this.#video,
              opened && !hasPicture && this.#tryButton("camera"),
              opened && this.#picker("camera", "videoinput"),
            ),
            this.#line(
              "microphone",
              "microphone",
              this.#level && this.#meter,
              opened && !hasSound && this.#tryButton("microphone"),
              opened && this.#picker("microphone", "audioinput"),
            ),
            this.#line(
              "speaker",
              "speaker",
              h(
                "button",
                { type: "button", class: "compact", "data-testid": "speaker-test", onclick: () => this.#testSpeaker() },
                words.speaker_test,
              ),
              opened && "setSinkId" in AudioContext.prototype && this.#picker("speaker", "audiooutput"),
            ),
            ...this.#lineRows(),
            this.#line("browser", "browser"),
          ),
        );
      },
    );
  }

  #said(): (readonly [Line, Outcome, string])[] {
    const { devices } = this.strings;
    return [...this.#lines].map(([name, { outcome, say }]) => [name, outcome, say(devices)] as const);
  }

  /** What was tried of the line, and a way to try it again. */
  #lineRows(): (HTMLElement | false)[] {
    const names = (Object.keys(lineIcons) as LineName[]).filter((name) => this.#lines.has(name));
    const isChecking = names.some((name) => this.#isChecking(name));
    const isWell = names.every((name) => this.#lines.get(name)?.outcome === "good");
    const again = this.#lineCheck?.lineStrings(this.language).again;
    return names.map((name, index) => {
      const isLast = index === names.length - 1 && again !== undefined && !isChecking && !isWell;
      const press = {
        type: "button",
        class: "compact",
        "data-testid": "check-again",
        onclick: () => this.#checkLine(),
      };
      return this.#line(name, lineIcons[name], isLast && h("button", press, again));
    });
  }

  #titleOf(name: Line): string {
    const { devices } = this.strings;
    if (name !== "relay" && name !== "media" && name !== "vault") return devices[name];
    return this.#lineCheck?.lineStrings(this.language)[name] ?? devices.network;
  }

  #line(name: Line, sign: IconName, ...detail: (HTMLElement | false | undefined)[]): HTMLElement {
    const { devices } = this.strings;
    const { outcome = "unknown" as Outcome, say } = this.#lines.get(name) ?? {};
    const text = say ? say(devices) : devices.checking;
    const signs: Record<Outcome, IconName | undefined> = {
      unknown: undefined,
      good: "check",
      warning: "warning",
      bad: "cross",
    };
    const outcomeSign = signs[outcome];
    return h(
      "div",
      { class: `check ${outcome}`, "data-testid": `check-${name}`, "data-outcome": outcome },
      icon(sign),
      h(
        "div",
        { class: "detail" },
        h("span", { class: "title" }, this.#titleOf(name)),
        h("span", { class: "outcome", role: "status" }, outcomeSign && icon(outcomeSign), h("span", {}, text)),
        ...detail,
      ),
    );
  }

  #picker(name: "camera" | "microphone" | "speaker", kind: MediaDeviceKind): HTMLElement | false {
    const words = this.strings.devices;
    const devices = this.#devices.filter((device) => device.kind === kind && device.deviceId !== "");
    if (devices.length < 2) return false;
    const current = name === "speaker" ? this.speakerId : this.#idOf(name);
    const select = h(
      "select",
      { "data-testid": `choose-${name}`, onchange: () => this.#choose(kind, select.value) },
      ...devices.map(({ deviceId, label }) =>
        h("option", { value: deviceId, selected: deviceId === current }, label || words.speaker_default),
      ),
    );
    return h("label", { class: "pick" }, h("span", { class: "small" }, `${words.choose}: ${words[name]}`), select);
  }

  /** For a device that is off, or failed: looked at and listened to here, whatever else the page does with it. */
  #tryButton(device: "camera" | "microphone"): HTMLElement {
    const words = this.strings.devices;
    return h(
      "button",
      {
        type: "button",
        class: "compact",
        "data-testid": `try-${device}`,
        onclick: () => this.openDevices({ camera: null, microphone: null, [device]: this.#idOf(device) }),
      },
      device === "camera" ? words.try_camera : words.try_microphone,
    );
  }

  #idOf(device: "camera" | "microphone"): string | undefined {
    const kind = device === "camera" ? "video" : "audio";
    const track = this.stream?.getTracks().find((candidate) => candidate.kind === kind);
    return track?.getSettings().deviceId ?? this.chosen[device] ?? this.#wanted[device];
  }

  #choose(kind: MediaDeviceKind, id: string): void {
    if (kind === "audiooutput") {
      this.speakerId = id;
      this.emit("sv-devices", { stream: this.stream, chosen: this.chosen, speakerId: id });
      return;
    }
    const device = kind === "videoinput" ? "camera" : "microphone";
    this.chosen[device] = id;
    void this.openDevices({ camera: null, microphone: null, [device]: id });
  }

  #isChecking(name: LineName): boolean {
    return this.#lines.get(name)?.say === checking;
  }

  async #checkLine(): Promise<void> {
    const { ping, uses } = this;
    if (!ping && !uses) return;
    this.#checkingLine?.abort();
    const controller = new AbortController();
    this.#checkingLine = controller;
    for (const name of lineNames({ ping, uses })) this.#set(name, "unknown", checking);
    try {
      this.#lineCheck ??= await import("./line-check.js");
      this.refresh();
      await this.#lineCheck.checkLine({ ping, uses }, (result) => this.#report(result), controller.signal);
    } catch {
      // Not even the check could be loaded.
      for (const name of lineNames({ ping, uses })) this.#set(name, "bad", (words) => words.network_failed);
    }
  }

  #report({ name, outcome, key, ms = 0 }: LineResult): void {
    this.#set(name, outcome, () => formatText(this.#lineCheck?.lineStrings(this.language)[key] ?? "", { ms }));
  }

  #listen(stream: MediaStream): void {
    this.#heard = false;
    this.#level = new LevelMeter(stream, (level) => {
      // Square root: quiet speech moves the bar visibly.
      this.#meter.value = Math.min(1, Math.sqrt(level));
      if (this.#heard || level < VOICE_LEVEL) return;
      this.#heard = true;
      this.#set("microphone", "good", (words) => words.microphone_ok);
    });
    this.refresh();
  }

  async #testSpeaker(): Promise<void> {
    this.#set("speaker", "good", (words) => words.speaker_playing);
    await import("./test-tones.js")
      .then(({ playTestTones }) => playTestTones(this.speakerId))
      .catch(() => this.#set("speaker", "bad", (words) => words.missing));
  }

  #stopStream(kept: readonly MediaStreamTrack[] = []): void {
    this.finish();
    for (const track of this.stream?.getTracks() ?? []) if (!kept.includes(track)) track.stop();
    this.stream = null;
  }

  #set(line: Line, outcome: Outcome, say: (words: Strings["devices"]) => string): void {
    this.#lines.set(line, { outcome, say });
    this.refresh();
  }
}

const checking = (words: Strings["devices"]): string => words.checking;

function lineNames({ ping, uses }: Pick<DeviceCheckElement, "ping" | "uses">): LineName[] {
  return [
    ...(ping ? (["network"] as const) : []),
    ...(uses ? (["relay", "media"] as const) : []),
    ...(uses?.vaultUrl === undefined ? [] : (["vault"] as const)),
  ];
}
