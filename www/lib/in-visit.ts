/**
 * During the visit: media, the call's view, the own devices, and afterwards the recording until the clinic has it. Whoever
 * still waits to be let in does not download it.
 */
import type { Support, Visit } from "sealed-visit";
import { openDevice } from "sealed-visit/components";
import { language, words } from "../strings/index.js";
import { CallView } from "./call-view.js";
import { type Config, clinicInfo, purposeRules, signersHere } from "./config.js";
import { ask } from "./dialogs.js";
import { button, fill, h } from "./dom.js";
import { showPage } from "./frame.js";
import {
  helpFor,
  type Link,
  lockLinks,
  type Overview,
  overviewFor,
  recorderLinkFor,
  recorderPassFor,
  templateOf,
  type VisitInfo,
} from "./link.js";
import { LocalMedia } from "./local-media.js";
import { ProgressPanel } from "./progress-panel.js";
import type { VisitLogger } from "./visit-log.js";
import { afterWords } from "../strings/after.js";
// What is shown at the end must be here when the line is gone.
import "./after.js";

interface Here {
  config: Config;
  link: Link;
  visit: Visit;
  logger: VisitLogger;
  info: VisitInfo | null;
  able: Support;
  /** On the clinician's page. */
  isHost: boolean;
}

/** Resolves when the visit is over and the recording is safe. */
export async function call(
  { config, link, visit, logger, info, able, isHost }: Here,
  { stream, speakerId }: { stream: MediaStream | null; speakerId: string },
  ended: Promise<void>,
): Promise<void> {
  const clinic = clinicInfo(config);
  const template = templateOf(config, info);
  const media = await visit.connectMedia(stream ? { stream } : {});
  const local = new LocalMedia(media, stream, openDevice);
  const view = new CallView({
    visit,
    media,
    local,
    logger,
    rules: purposeRules(config, clinic, template),
    signers: signersHere(visit.state, template),
    recipients: clinic.recipients,
    languages: config.languages,
    times: info,
    lock: { byHand: template.lock === "manual", lockLinks: (locked) => lockLinks(config, link, locked) },
    links: helpFor(config, link),
    speakerId,
    prepareRecorder: (replaces) =>
      visit.prepareRecorder({
        vaultUrl: config.vault_url,
        displayName: "Recorder",
        storageKey: `${link.visit}:recorder`,
        getPass: (request) => recorderPassFor(config, link, request, replaces),
      }),
    elsewhere: able.recorder.supported
      ? undefined
      : { why: able.recorder, getLink: () => recorderLinkFor(config, link) },
    chooseDevices: () => chooseDevices(local, view),
  });
  // For the browser's console and for measurements.
  Object.assign(globalThis, { sealedVisit: { visit, media, view } });
  document.title = `${words().page.title}`;
  fill(document.body, view.element);
  const redraw = () => view.redraw();
  window.addEventListener("sv-page-language", redraw);
  if (isHost) watchInvitations(() => overviewFor(config, link), view, ended);
  await ended;
  window.removeEventListener("sv-page-language", redraw);
  view.stop();
  logger.update(visit.state);
  local.stop();
  await keepUntilSafe(view);
}

const WATCH_EVERY_MS = 10_000;

/** Warns the host when someone tries another person's link, which the authority has refused. */
function watchInvitations(ask: () => Promise<Overview>, view: CallView, ended: Promise<void>): void {
  const look = () =>
    ask().then(
      (overview) => view.invitations(overview),
      // The authority may be away; the visit does not need it.
      () => undefined,
    );
  void look();
  const timer = setInterval(look, WATCH_EVERY_MS);
  void ended.then(() => clearInterval(timer));
}

/** The recording outlives the visit until the clinic has it: the page stays, and says how far it is. */
async function keepUntilSafe(view: CallView): Promise<void> {
  const { recorder } = view;
  if (!recorder) return;
  const panel = new ProgressPanel(recorder);
  showPage((page) => {
    fill(page, h("h1", {}, afterWords().title), panel.element);
    return afterWords().title;
  });
  await recorder.close();
}

async function chooseDevices(local: LocalMedia, view: CallView): Promise<void> {
  const check = h("device-check", { lang: language() });
  check.addEventListener("sv-devices", () => {
    view.speakerId = check.speakerId;
  });
  const shown = ask(
    "devices-dialog",
    (close: (done: boolean) => void) =>
      h(
        "div",
        { class: "stack" },
        h("h2", { id: "devices-dialog-title", class: "visually-hidden" }, words().call.devices),
        check,
        h(
          "label",
          { class: "option" },
          h("input", {
            type: "checkbox",
            checked: view.indicatorSound,
            "data-testid": "indicator-sound",
            onchange: (event) => {
              view.indicatorSound = (event.target as HTMLInputElement).checked;
            },
          }),
          h("span", {}, words().call.indicator_sound),
        ),
        button(words().page.close, { testid: "devices-close", class: "primary", onclick: () => close(true) }),
      ),
    true,
  );
  void check.start({ withDevices: false, showing: local.beginPreview(), wanted: local.ids });
  await shown;
  check.close();
  await local.endPreview(check.chosen);
}
