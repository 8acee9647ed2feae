/**
 * A visit on the screen: indicator and label on top and always there, pictures, the panel with people,
 * consent and recording, and the controls.
 *
 * It draws what the state says and keeps no truth of its own.
 */
import type { VisitState } from "sealed-visit";
import { type ConsentReply, type ConsentRequest, mustAnswer, recorderInRoster } from "sealed-visit/components";
import type { ClinicRecipient, PurposeRule } from "sealed-visit/host";
import { language, words } from "../strings/index.js";
import { mediaWords } from "../strings/media.js";
import type { CallMedia, CallRecorder, CallVisit } from "./call.js";
import { ControlBar } from "./control-bar.js";
import { askWish, confirmLeave, showSafetyCode, type Wish } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { type CannotRecord, RecorderElsewhere, waitingRecorder } from "./elsewhere.js";
import { languageSwitch, reasonOf } from "./frame.js";
import type { Invitations } from "./invitations.js";
import type { LinkHelp, Overview } from "./link.js";
import type { LocalMedia } from "./local-media.js";
import { VisitLock, type VisitLockOptions } from "./locking.js";
import { Notices } from "./notices.js";
import { ProgressPanel } from "./progress-panel.js";
import { RecordingBar } from "./recording-bar.js";
import { ResumeTalk } from "./resume.js";
import { VideoGrid } from "./video-grid.js";
import { VisitClock, type VisitTimes } from "./visit-clock.js";
import type { VisitLogger } from "./visit-log.js";

export interface CallViewOptions {
  visit: CallVisit;
  media: CallMedia;
  local: LocalMedia;
  logger: VisitLogger;
  rules: readonly PurposeRule[];
  recipients: readonly ClinicRecipient[];
  languages: readonly string[];
  /** Who signs at this device, by the visit's template. */
  signers?: string | undefined;
  /** When the visit ends; null where the authority could not be asked. */
  times: VisitTimes | null;
  lock: Omit<VisitLockOptions, "visit">;
  /** Host: help for people who are locked out. */
  links: LinkHelp;
  speakerId: string;
  /** Host: makes a recorder in this page ready; with an id, as a replacement of that recorder under its grants. */
  prepareRecorder: (replaces?: string) => Promise<CallRecorder>;
  /** Host: where this browser cannot record, why, and how to get a link to open the recorder in another one. */
  elsewhere?: { why: CannotRecord; getLink: () => Promise<string> } | undefined;
  chooseDevices: () => Promise<void>;
}

export class CallView {
  readonly element = h("div", { class: "call" });

  readonly #options: CallViewOptions;
  readonly #indicator = h("recording-indicator");
  readonly #label = h("visit-label");
  readonly #roster = h("visit-roster");
  readonly #consent = h("visit-consent");
  readonly #request = h("consent-request", { hidden: true });
  /** Defined on clinicians' pages only. */
  readonly #emergency = h("visit-emergency");
  readonly #panel = h("aside", { class: "panel", tabindex: "-1" });
  readonly #languages = h("div");
  readonly #links = h("div");
  readonly #recordingHere = h("div");
  readonly #notices = new Notices();
  readonly #videos: VideoGrid;
  readonly #recordingBar: RecordingBar;
  readonly #controls: ControlBar;
  readonly #resume: ResumeTalk;
  readonly #clock: VisitClock | null;
  readonly #lock: VisitLock;
  readonly #elsewhere: RecorderElsewhere | null;
  #host: string | undefined;
  #locked: boolean | undefined;
  #invitations: Promise<Invitations> | undefined;
  #progress: ProgressPanel | undefined;
  #recorder: CallRecorder | undefined;
  #refusedRound: string | undefined;
  #askedTwice = false;
  #panelOpen = window.innerWidth > 760;
  /** A media connection was lost, and another is being made. */
  #reconnects = false;
  /** This person withdrew, and nothing is sent yet: the recorder may still be there. */
  #isWithdrawing = false;

  constructor(options: CallViewOptions) {
    this.#options = options;
    const { visit, media, local } = options;
    this.#videos = new VideoGrid(visit.state);
    this.#videos.connect(media);
    this.#videos.speakerId = options.speakerId;
    this.#videos.showSelf(local.picture);
    this.#resume = new ResumeTalk(visit);
    this.#clock = options.times && new VisitClock(options.times, this.#notices);
    this.#lock = new VisitLock({ visit, ...options.lock });
    const { elsewhere } = options;
    this.#elsewhere = elsewhere ? new RecorderElsewhere(visit, elsewhere.why, elsewhere.getLink) : null;
    this.#recordingBar = new RecordingBar({
      withdraw: (event) => void this.#withdraw(event),
      pause: () => this.#attempt(visit.pause()),
      start: () => this.#attempt(this.#start()),
      resume: () => this.#attempt(this.#resume.ask()),
      stop: () => this.#attempt(visit.stopRecording()),
      askAgain: () => this.#attempt(this.#beginRequest(this.#refusedRound)),
      answerResume: (agrees) => this.#attempt(this.#resume.answer(agrees)),
    });
    this.#controls = new ControlBar({
      microphone: () => this.#attempt(local.toggleMicrophone()),
      camera: () => this.#attempt(local.toggleCamera()),
      screen: () => this.#attempt(local.toggleScreen()),
      layout: () => {
        this.#videos.layout = this.#videos.layout === "grid" ? "speaker" : "grid";
        this.#drawControls();
      },
      people: () => {
        this.#panelOpen = !this.#panelOpen;
        this.#draw();
        if (this.#panelOpen) this.#panel.focus();
      },
      devices: () => this.#attempt(options.chooseDevices()),
      safety: () => this.#attempt(this.#compareSafetyCode()),
      record: () => this.#attempt(this.#beginRequest()),
      leave: () => void this.#leave(false),
      end: () => void this.#leave(true),
    });
    fill(
      this.element,
      h(
        "header",
        { class: "call-head" },
        h("div", { class: "head-row" }, this.#indicator, this.#label),
        this.#recordingBar.element,
        this.#notices.element,
      ),
      h("main", { id: "main", class: "stage-holder" }, this.#videos.element),
      this.#panel,
      this.#controls.element,
    );
    fill(
      this.#panel,
      ...[this.#consent, this.#request, this.#roster, this.#emergency, this.#recordingHere, this.#links],
      this.#clock?.element,
      this.#languages,
    );
    this.#indicator.toggleAttribute("sound", soundIsOn());
    if (options.signers !== undefined) this.#consent.setAttribute("signers", options.signers);
    this.#listen();
    this.#draw();
  }

  /** Whether a change that concerns recording is heard too; remembered in this browser. */
  get indicatorSound(): boolean {
    return this.#indicator.hasAttribute("sound");
  }

  set indicatorSound(isOn: boolean) {
    this.#indicator.toggleAttribute("sound", isOn);
    rememberSound(isOn);
  }

  /** Draws again, in the language of now. */
  redraw(): void {
    this.#draw();
    this.#clock?.draw();
  }

  stop(): void {
    this.#clock?.stop();
  }

  /** Host: who came, who is locked out; and whether all are there. */
  invitations(overview: Overview): void {
    // Failures are retried at the next check.
    this.#lock.look(overview).catch(() => undefined);
    const { visit, links } = this.#options;
    if (!visit.state.me.host) return;
    this.#invitations ??= import("./invitations.js").then(({ Invitations }) => {
      const made = new Invitations(links, () => visit.state, this.#notices);
      this.#links.append(made.element);
      return made;
    });
    this.#invitations.then(
      (shown) => shown.update(overview),
      () => {
        this.#invitations = undefined;
      },
    );
  }

  set speakerId(id: string) {
    this.#videos.speakerId = id;
  }

  get recorder(): CallRecorder | undefined {
    return this.#recorder;
  }

  #listen(): void {
    const { visit, media, local } = this.#options;
    visit.on("state", () => this.#draw());
    visit.on("relay", ({ status }) => this.#notices.set("relay", status === "lost" ? words().call.reconnecting : null));
    visit.on("event", (event) => {
      const text = words().recording;
      const { me } = visit.state;
      if (event.e === "withdrawn") {
        if (event.participant === me.participant) this.#isWithdrawing = true;
        else this.#notices.flash(text.someone_withdrew);
      }
      if (event.e === "recorder_left" && event.why === "paused") this.#notices.flash(text.paused);
    });
    visit.on("problem", (error) => this.#notices.flash(words().page.failed.replace("{why}", reasonOf(error))));
    media.on("connection", ({ publish, subscribe }) => {
      this.#reconnects = [publish, subscribe].includes("reconnecting");
      this.#drawLine();
    });
    media.on("flow", () => this.#draw());
    media.on("line", () => this.#drawLine());
    local.addEventListener("change", () => {
      this.#videos.showSelf(local.picture);
      this.#drawControls();
      this.#drawDevices();
    });
    this.#resume.addEventListener("change", () => this.#draw());
    this.#resume.addEventListener("failed", (event) => this.#fail((event as CustomEvent<unknown>).detail));
    this.#listenToPanel();
  }

  #listenToPanel(): void {
    const { visit } = this.#options;
    const participantOf = (event: Event) => (event as CustomEvent<{ participant: string }>).detail.participant;
    const on = (element: HTMLElement, type: string, act: (event: Event) => Promise<unknown>) =>
      element.addEventListener(type, (event) => this.#attempt(act(event)));
    on(this.#roster, "sv-admit", (event) => visit.admit(participantOf(event)));
    on(this.#roster, "sv-deny", (event) => visit.deny(participantOf(event)));
    on(this.#roster, "sv-remove", (event) => visit.remove(participantOf(event)));
    on(this.#roster, "sv-admit-all", () => this.#admitAll());
    on(this.#roster, "sv-ask", (event) => visit.askWaiting(participantOf(event)));
    on(this.#roster, "sv-stop-and-admit", (event) => visit.pauseAndAdmit(participantOf(event)));
    on(this.#roster, "sv-lock", (event) => this.#lock.set((event as CustomEvent<{ locked: boolean }>).detail.locked));
    on(this.#roster, "sv-unlock-and-admit", (event) => this.#lock.unlockAndAdmit(participantOf(event)));
    on(this.#roster, "sv-hand-over", (event) => visit.handOver(participantOf(event)));
    on(this.#emergency, "sv-confirm-place", (event) => visit.confirmPlace(participantOf(event)));
    on(this.#consent, "sv-answer", (event) => {
      const { kind, ...answer } = (event as CustomEvent<ConsentReply>).detail;
      return kind === "grant" ? visit.grant(answer) : visit.refuse(answer);
    });
    on(this.#request, "sv-request", (event) => this.#ask((event as CustomEvent<ConsentRequest>).detail));
    this.#request.addEventListener("sv-cancel", () => this.#closeRequest());
  }

  async #admitAll(): Promise<void> {
    const { visit } = this.#options;
    for (const { participant, role } of visit.state.waiting) if (role !== "recorder") await visit.admit(participant);
  }

  // --- Recording --------------------------------------------------------------------------------

  get #isRequestOpen(): boolean {
    return !this.#request.hidden;
  }

  /** If this browser cannot record, the recorder is opened elsewhere before anyone is asked. */
  async #beginRequest(after?: string): Promise<void> {
    if (this.#elsewhere && this.#separateRecorder === undefined && !(await this.#elsewhere.open())) return;
    this.#openRequest(after);
  }

  get #separateRecorder(): string | undefined {
    return waitingRecorder(this.#options.visit, this.#recorder?.participant);
  }

  #openRequest(after?: string): void {
    this.#panelOpen = true;
    this.#request.hidden = false;
    this.#draw();
    this.#request.open(after);
  }

  #closeRequest(): void {
    this.#request.hidden = true;
    this.#draw();
  }

  async #ask(request: ConsentRequest): Promise<void> {
    const { visit } = this.#options;
    this.#notices.set("recorder", words().recording.preparing);
    try {
      const recorder = await this.#recorderParticipant();
      await visit.requestConsent({ ...request, recorder });
      if (request.again_after !== undefined) this.#askedTwice = true;
      this.#closeRequest();
    } finally {
      this.#notices.set("recorder", null);
    }
  }

  /** A recorder page that waits comes first; otherwise this page records, as a member of its own. */
  async #recorderParticipant(): Promise<string> {
    const { prepareRecorder } = this.#options;
    const separate = this.#separateRecorder;
    if (separate !== undefined) return separate;
    if (this.#recorder && isUsable(this.#recorder)) return this.#recorder.participant;
    return (await this.#adopt(prepareRecorder())).participant;
  }

  /** A recorder of this page that broke is replaced by one with the same id, under the same grants. */
  async #start(): Promise<void> {
    const { visit, prepareRecorder } = this.#options;
    const asked = visit.state.consent?.recorder;
    if (this.#recorder && !isUsable(this.#recorder) && this.#recorder.participant === asked)
      await this.#adopt(prepareRecorder(asked));
    await startWhenReady(visit);
  }

  async #adopt(preparing: Promise<CallRecorder>): Promise<CallRecorder> {
    const recorder = await preparing;
    this.#recorder = recorder;
    this.#progress = new ProgressPanel(recorder);
    // An earlier recorder's unfinished upload stays on screen.
    this.#recordingHere.append(this.#progress.element);
    recorder.on("problem", (error) => this.#fail(error));
    return recorder;
  }

  /** The click's own task stops sending first. Then the person is asked what should happen to the recording. */
  async #withdraw(event: Event): Promise<void> {
    const { visit, logger } = this.#options;
    const hold = visit.hold({ clickedAt: event.timeStamp });
    try {
      const policy = visit.state.consent?.terms.on_withdrawal ?? "ask";
      const answer: Wish = policy === "ask" ? await askWish() : { kind: "withdraw" };
      if (answer.kind === "back") return;
      const { wish } = answer;
      const withdrawal = visit.withdraw(wish === undefined ? {} : { wish });
      logger.withdrew(wish);
      await this.#attempt(withdrawal);
    } finally {
      // After a withdrawal the gate stays shut until there is an epoch that the recorder cannot derive.
      hold.release();
    }
  }

  // --- The rest ---------------------------------------------------------------------------------

  async #compareSafetyCode(): Promise<void> {
    const { visit } = this.#options;
    if (await showSafetyCode(visit.state)) await visit.markVerified();
  }

  async #leave(forAll: boolean): Promise<void> {
    const { visit } = this.#options;
    const recordsHere = this.#recorder?.hasUnsentBytes === true;
    if (!(await confirmLeave({ forAll, recordsHere }))) return;
    await this.#attempt(forAll ? visit.end() : visit.leave());
  }

  async #attempt(what: Promise<unknown>): Promise<void> {
    await what.catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#notices.flash(words().page.failed.replace("{why}", reasonOf(error)), "serious");
  }

  #draw(): void {
    const { visit, media, logger, rules, recipients, languages } = this.#options;
    const { state } = visit;
    document.documentElement.lang = language();
    logger.update(state);
    this.#lock.note(state);
    this.#noteHost(state);
    this.#noteLock(state);
    for (const part of [this.#indicator, this.#label, this.#roster, this.#consent, this.#request, this.#emergency]) {
      part.lang = part === this.#consent && part.lang !== "" ? part.lang : language();
      part.view = state as never;
    }
    this.#request.rules = rules;
    this.#request.recipients = recipients;
    this.#request.languages = languages;
    fill(this.#languages, languageSwitch());
    this.#noteRefusal(state);
    this.#drawPanel(state);
    this.#videos.update(state);
    this.#progress?.update(state);
    this.#drawNotices(state);
    this.#recordingBar.update(state, {
      isHost: isHost(state),
      resume: this.#resume.state,
      mediaFlows: media.flow === "flowing",
      canAskAgain: this.#refusedRound !== undefined && !this.#askedTwice && !this.#isRequestOpen,
    });
    this.#drawControls();
  }

  #drawPanel(state: VisitState): void {
    const asking = mustAnswer(state as never);
    const mustShow = asking || (isHost(state) && state.waiting.some(({ role }) => role !== "recorder"));
    this.element.classList.toggle("no-panel", !this.#panelOpen && !mustShow);
    this.element.classList.toggle("asking", asking || this.#isRequestOpen);
    this.#panel.setAttribute("aria-label", words().call.panel);
  }

  #drawNotices(state: VisitState): void {
    const { call, problem } = words();
    this.#notices.set("rekeying", state.phase === "rekeying" ? call.rekeying : null);
    const { open, reason } = state.sending;
    if (open && this.#isWithdrawing) {
      this.#isWithdrawing = false;
      this.#notices.flash(words().recording.withdrawn);
    }
    const blocked = !open && reason && reason !== "not_live" && state.phase !== "ended";
    const why = blocked ? call.not_sending.replace("{why}", call[`why_${reason}`]) : null;
    this.#notices.set("sending", why, "serious");
    const told = state.problems.map(({ code, at_ms }) => ({
      id: `${code}/${at_ms}`,
      text: (problem as Record<string, string>)[code] ?? problem.other.replace("{code}", code),
    }));
    this.#notices.keep(told, "serious");
    this.#drawLine();
    this.#drawDevices();
  }

  /** Devices that are gone, and those that the system has taken for a while. */
  #drawDevices(): void {
    const { call } = words();
    const { lost, taken } = this.#options.local;
    this.#notices.set("camera-lost", lost.has("camera") ? call.camera_lost : null, "serious");
    this.#notices.set("microphone-lost", lost.has("microphone") ? call.microphone_lost : null, "serious");
    const one = taken.has("camera") ? call.camera_taken : taken.has("microphone") ? call.microphone_taken : null;
    this.#notices.set("taken", taken.size > 1 ? call.both_taken : one, "serious");
  }

  /** Whether sound and picture get through at all, whose line is slow, and what becomes of the picture. */
  #drawLine(): void {
    const { call } = words();
    const { flow, line } = this.#options.media;
    this.#notices.set("blocked", flow === "blocked" ? mediaWords().blocked : null, "serious");
    this.#notices.set("media", this.#reconnects && flow !== "blocked" ? call.reconnecting : null);
    const { down, up, slow_for } = line;
    const mine = down === "no_pictures" ? call.slow_no_pictures : down === "slow" || up === "slow" ? call.slow : null;
    this.#notices.set("slow", mine);
    const { roster } = this.#options.visit.state;
    const names = slow_for.map(
      (participant) => roster.find((entry) => entry.participant === participant)?.name ?? call.someone,
    );
    const others = call.slow_other.replace("{names}", new Intl.ListFormat(language()).format(names));
    this.#notices.set("slow-other", names.length > 0 ? others : null);
  }

  #noteRefusal({ consent }: VisitState): void {
    if (consent?.someone_refused) this.#refusedRound = consent.round;
    else if (consent) this.#refusedRound = undefined;
    if (consent?.asked_again) this.#askedTwice = true;
  }

  /** Everyone sees who has become host. Nobody sees which member commits while the host is away. */
  #noteHost({ host, me, roster }: VisitState): void {
    const entry = roster.find(({ participant }) => participant === host);
    if (entry?.role !== "clinician") return;
    const before = this.#host;
    this.#host = entry.participant;
    if (before === undefined || before === entry.participant) return;
    const { call } = words();
    const said = me.host ? call.host_is_you : call.host_is.replace("{name}", entry.name ?? call.someone);
    this.#notices.flash(said);
  }

  /** The people's panel shows it; here it is said, wherever that panel is. */
  #noteLock({ locked, phase }: VisitState): void {
    if (phase !== "live") return;
    const before = this.#locked;
    this.#locked = locked;
    if (before !== undefined && before !== locked) this.#notices.flash(words().call[locked ? "locked" : "unlocked"]);
  }

  #drawControls(): void {
    const { visit, local } = this.#options;
    const { state } = visit;
    this.#controls.update({
      isMuted: local.isMuted,
      isCameraOff: local.isCameraOff,
      isSharing: local.isSharing,
      // By default only the host may share a screen.
      canShare: isHost(state) && "getDisplayMedia" in (navigator.mediaDevices ?? {}),
      layout: this.#videos.layout,
      panelOpen: !this.element.classList.contains("no-panel"),
      isHost: isHost(state),
      canRecord:
        isHost(state) &&
        state.phase === "live" &&
        !recorderInRoster(state) &&
        !this.#isRequestOpen &&
        !openRound(state),
      isVerified: state.verified,
    });
  }
}

export function isHost({ me }: Pick<VisitState, "me">): boolean {
  return me.host;
}

/** Whether a round is under way that was neither refused nor given up. */
function openRound({ consent }: VisitState): boolean {
  return !!consent && !consent.someone_refused;
}

function isUsable({ state }: CallRecorder): boolean {
  return state.phase !== "failed" && state.phase !== "ended";
}

const SOUND = "sealed-visit:indicator-sound";

/** On until someone turns it off. */
function soundIsOn(): boolean {
  try {
    return localStorage.getItem(SOUND) !== "off";
  } catch {
    return true;
  }
}

function rememberSound(isOn: boolean): void {
  try {
    localStorage.setItem(SOUND, isOn ? "on" : "off");
  } catch {
    // Storage is refused: it lasts as long as the page.
  }
}

const RECORDER_READY_LIMIT_MS = 10_000;

/** A recorder that was just prepared asks to be let in a moment after it has connected. */
async function startWhenReady(visit: CallVisit): Promise<void> {
  const giveUpAt = Date.now() + RECORDER_READY_LIMIT_MS;
  for (;;) {
    try {
      return await visit.startRecorder();
    } catch (error) {
      const isEarly = error instanceof Error && "code" in error && error.code === "visit-recorder-not-ready";
      if (!isEarly || Date.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
