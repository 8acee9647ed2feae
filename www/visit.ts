/**
 * The visit's page, for clinician, patient and everybody else: what differs follows from the role that
 * the pass names. Before, during, after.
 */
import "./lib/fragment.js";
import { type Support, support, type Visit, type VisitState } from "sealed-visit";
import { defineVisitElements, openDevice } from "sealed-visit/components";
import type { CallView } from "./lib/call-view.js";
import { showAfter } from "./lib/after.js";
import { ask } from "./lib/dialogs.js";
import { ProgressPanel } from "./lib/progress-panel.js";
import { recoveryNotice } from "./lib/recovery.js";
import { clinicInfo, loadConfig, purposeRules, type Config, type VisitTemplate } from "./lib/config.js";
import { button, fill, h } from "./lib/dom.js";
import { reasonOf, showPage } from "./lib/frame.js";
import { joinPage } from "./lib/join.js";
import { LocalMedia } from "./lib/local-media.js";
import {
  forget,
  infoFor,
  type Link,
  linkFromLocation,
  lockLinks,
  type Overview,
  overviewFor,
  recorderLinkFor,
  recorderPassFor,
  takeAway,
  templateOf,
  type VisitInfo,
} from "./lib/link.js";
import { VisitLogger } from "./lib/visit-log.js";
import { WaitingRoom, type WaitingRoomOptions } from "./lib/waiting-room.js";
import { language, words } from "./strings/index.js";

const isCliniciansPage = location.pathname.includes("clinician");

defineVisitElements();
main().catch((error: unknown) => {
  showPage((page) => {
    fill(
      page,
      h("h1", {}, words().page.title),
      h(
        "p",
        { class: "notice serious", role: "alert", "data-testid": "fatal" },
        words().page.failed.replace("{why}", reasonOf(error)),
      ),
    );
    return words().page.title;
  });
});

async function main(): Promise<void> {
  const link = linkFromLocation();
  if (link === null || link === "damaged") {
    showPage((page) => {
      const { link_damaged, no_link } = words().join;
      fill(
        page,
        h("h1", {}, words().page.title),
        h("p", { class: "notice", "data-testid": "no-link" }, link === "damaged" ? link_damaged : no_link),
      );
      return words().page.title;
    });
    return;
  }
  const [config] = await Promise.all([loadConfig(), isCliniciansPage && defineHosts()]);
  const clinic = clinicInfo(config);
  const asking = infoFor(config, link);
  const able = await support();
  const { visit, stream, speakerId } = await joinPage(config, clinic, link, {
    isHost: isCliniciansPage,
    able,
    // Only a clinician's browser records.
    notice: isCliniciansPage ? recoveryNotice(config) : null,
  });
  const logger = new VisitLogger(visit.state);
  logger.listen(visit);
  const info = await asking;
  const signers = signersHere(visit.state, templateOf(config, info));
  const ended = whenEnded(visit);
  const room = { isHost: isCliniciansPage, clinicName: clinic.name, signers };
  const entered = await Promise.race([waitUntilIn(visit, logger, room), ended.then(() => false)]);
  if (entered)
    await call(
      { config, link, visit, logger, info, able },
      await import("./lib/call-view.js"),
      { stream, speakerId },
      ended,
    );
  else await ended;
  for (const track of stream?.getTracks() ?? []) track.stop();
  // A denial, or a server's word alone, costs nobody their way back.
  const isOver = visit.state.end_is_final && visit.state.end_reason !== "left";
  if (isOver) await forget(link);
  const comeBack = visit.state.end_reason === "left" ? await takeAway(link) : undefined;
  showAfter(visit.state, comeBack);
}

/** Whoever is asked for consent need not download the form that asks. */
async function defineHosts(): Promise<void> {
  const { defineHostElements } = await import("sealed-visit/host");
  defineHostElements();
}

/** Resolves when the visit is over for this page, whatever the reason. */
function whenEnded(visit: Visit): Promise<void> {
  return new Promise((resolve) => {
    if (visit.state.phase === "ended") resolve();
    visit.on("ended", () => resolve());
    visit.on("failed", () => resolve());
  });
}

async function waitUntilIn(visit: Visit, logger: VisitLogger, options: WaitingRoomOptions): Promise<boolean> {
  const isIn = ({ phase }: VisitState) => phase === "live" || phase === "rekeying";
  if (isIn(visit.state)) return true;
  const room = new WaitingRoom(visit, options);
  return new Promise((resolve) => {
    visit.on("state", (state) => {
      if (isIn(state)) resolve(true);
      else {
        logger.update(state);
        room.update(state);
      }
    });
  });
}

interface Here {
  config: Config;
  link: Link;
  visit: Visit;
  logger: VisitLogger;
  info: VisitInfo | null;
  able: Support;
}

async function call(
  { config, link, visit, logger, info, able }: Here,
  { CallView }: typeof import("./lib/call-view.js"),
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
  // For the browser's console, and for whoever measures this page.
  Object.assign(globalThis, { sealedVisit: { visit, media, view } });
  document.title = `${words().page.title}`;
  fill(document.body, view.element);
  const redraw = () => view.redraw();
  window.addEventListener("sv-page-language", redraw);
  if (isCliniciansPage) watchInvitations(() => overviewFor(config, link), view, ended);
  await ended;
  window.removeEventListener("sv-page-language", redraw);
  view.stop();
  logger.update(visit.state);
  local.stop();
  await keepUntilSafe(view);
}

/** The template speaks of the patient's side; everybody else decides for themselves. */
function signersHere({ me }: VisitState, { signers }: VisitTemplate): VisitTemplate["signers"] {
  return me.role === "patient" || me.role === "representative" ? signers : undefined;
}

const WATCH_EVERY_MS = 10_000;

/** The host is told when somebody tries a link that is another's; the authority refused it already. */
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
    fill(page, h("h1", {}, words().after.title), panel.element);
    return words().after.title;
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
