/**
 * Shows one example of a state: `#NAME`, in the language of `?lang=`. Built by the tests only.
 *
 * `window.visit` is the standing visit, for tests that look at what the page asked for.
 */
import { defineVisitElements, openDevice } from "sealed-visit/components";
import { defineHostElements } from "sealed-visit/host";
import { showAfter } from "../lib/after.js";
import { CallView } from "../lib/call-view.js";
import { askWish, showSafetyCode } from "../lib/dialogs.js";
import { fill, h } from "../lib/dom.js";
import { showPage } from "../lib/frame.js";
import { LocalMedia } from "../lib/local-media.js";
import { ProgressPanel } from "../lib/progress-panel.js";
import { VisitLogger } from "../lib/visit-log.js";
import { WaitingRoom } from "../lib/waiting-room.js";
import { language } from "../strings/index.js";
import { examples, painted, StandingMedia, StandingVisit, standingRecorder, stateOf, timesOf } from "./fixtures.js";
import { linkPages, standingLinks } from "./links.js";

declare global {
  interface Window {
    visit?: StandingVisit;
    exampleNames: string[];
    showExample(name: string): void;
  }
}

defineVisitElements();
defineHostElements();
window.exampleNames = Object.keys(examples);
const name = location.hash.slice(1);
const pages: Record<string, () => void> = {
  ...linkPages,
  "device-check": showDeviceCheck,
  "device-check+nothing": showDeviceCheck,
  "progress-recording": () => showProgress("recording"),
  "progress-uploading": () => showProgress("uploading"),
  "progress-safe": () => showProgress("safe"),
};
for (const reason of ["left", "ended_by_host", "time_over", "empty", "removed", "denied"] as const)
  pages[`after-${reason}`] = () => showAfter({ end_reason: reason });
(pages[name] ?? (name.startsWith("outside-") ? showWaitingRoom : showCall))();

function showWaitingRoom(): void {
  const visit = new StandingVisit(stateOf(examples[name] ?? {}));
  window.visit = visit;
  new WaitingRoom(visit.asCallVisit(), { isHost: false, clinicName: visit.state.clinic.name });
}

function showCall(): void {
  const [exampleName = "live", ...shown] = name.split("+");
  const shows = (what: string) => shown.includes(what);
  const state = stateOf(examples[exampleName] ?? {});
  const visit = new StandingVisit(state);
  window.visit = visit;
  window.showExample = (next) => visit.show(stateOf(examples[next] ?? {}));
  const devices = new StandingMedia();
  if (shows("blocked")) devices.flow = "blocked";
  if (shows("connecting")) devices.flow = "connecting";
  const media = devices.asCallMedia(state.me.participant);
  const local = new LocalMedia(media, new MediaStream([painted(100)]), openDevice);
  const rules = [
    {
      purpose: "medical_record",
      retention_days: 2555,
      recipient_roles: ["responsible_clinician"],
      on_withdrawal: "ask",
    },
    { purpose: "supervision", retention_days: 30, recipient_roles: ["supervisor"], on_withdrawal: "delete" },
    {
      purpose: "ai_note",
      retention_days: 30,
      recipient_roles: ["ai_processor"],
      on_withdrawal: "delete",
      processor_retention_days: 7,
    },
    { purpose: "research", retention_days: 365, recipient_roles: ["researcher"], on_withdrawal: "delete" },
    { purpose: "other", retention_days: 30, recipient_roles: ["responsible_clinician"], on_withdrawal: "keep" },
  ] as const;
  let tries = 0;
  const [clinician = "", patient = "", guest = "guest"] = state.roster.map(({ participant }) => participant);
  const links = standingLinks(clinician, patient, guest);
  const view = new CallView({
    visit: visit.asCallVisit(),
    media,
    local,
    logger: new VisitLogger(state),
    rules,
    recipients: [
      { fingerprint: "f1", role: "responsible_clinician" },
      { fingerprint: "f2", role: "researcher", display_name: "Lake University" },
    ],
    languages: ["en", "es"],
    times: timesOf(shows("closing") ? 9 : shows("closing-now") ? 2 : undefined),
    lock: { byHand: true, lockLinks: async () => undefined },
    links,
    speakerId: "",
    prepareRecorder: async () => standingRecorder("recording"),
    elsewhere: shows("elsewhere")
      ? {
          why: { supported: false, code: "no-track-processor", reason: "" },
          getLink: async () => {
            if (tries++ === 0 && shows("no-link")) throw new Error("the clinic does not answer");
            return `https://visits.example/recorder.html#visit=v&secret=${tries}`;
          },
        }
      : undefined,
    chooseDevices: async () => undefined,
  });
  fill(document.body, view.element);
  window.addEventListener("sv-page-language", () => view.redraw());
  if (shows("links")) {
    view.invitations(structuredClone(links.overview));
    const open = setInterval(() => {
      const details = document.querySelector<HTMLDetailsElement>('[data-testid="invitations"]');
      if (details) details.open = true;
      if (details) clearInterval(open);
    }, 20);
  }
  if (shows("phone-call")) devices.take("microphone", "camera");
  if (shows("taken-microphone")) devices.take("microphone");
  if (shows("safety")) void showSafetyCode(state);
  if (shows("wish")) void askWish();
  const press = (testid: string) => document.querySelector<HTMLElement>(`[data-testid="${testid}"]`)?.click();
  if (shows("people") && document.querySelector(".no-panel")) press("people-button");
  if (shows("hand"))
    document.querySelector("visit-roster")?.shadowRoot?.querySelector<HTMLElement>('[data-testid^="hand-"]')?.click();
  if (shows("request") || shows("elsewhere")) press("record-button");
  if (shows("link")) press("recorder-link-get");
}

function showProgress(safety: "recording" | "uploading" | "safe"): void {
  showPage((main) => {
    const panel = new ProgressPanel(standingRecorder(safety));
    panel.update(stateOf(examples.recording ?? {}));
    fill(main, h("h1", {}, "Sealed Visit"), panel.element);
    return "Progress";
  });
}

function showDeviceCheck(): void {
  showPage((main) => {
    const check = h("device-check", { lang: language() });
    check.support = { ok: true, reasons: [] };
    check.ping = async () => undefined;
    // Nobody answers there.
    if (name === "device-check+nothing") check.uses = { relayUrl: "/none", vaultUrl: "/none" };
    fill(main, h("h1", {}, "Sealed Visit"), h("section", { class: "card" }, check));
    void check.start({ withDevices: true });
    return "Devices";
  });
}
