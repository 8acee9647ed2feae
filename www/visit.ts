/**
 * The visit's page, for clinician, patient and everyone else: what differs follows from the role that
 * the pass names. Before, during, after.
 */
import "./lib/fragment.js";
import { support, type Visit, type VisitState } from "sealed-visit";
import { defineVisitElements } from "sealed-visit/components";
import { showAfter } from "./lib/after.js";
import { recoveryNotice } from "./lib/recovery.js";
import { clinicInfo, loadConfig, signersHere } from "./lib/config.js";
import { fill, h } from "./lib/dom.js";
import { reasonOf, showPage } from "./lib/frame.js";
import { joinPage } from "./lib/join.js";
import { forget, infoFor, linkFromLocation, takeAway, templateOf } from "./lib/link.js";
import { VisitLogger } from "./lib/visit-log.js";
import { WaitingRoom, type WaitingRoomOptions } from "./lib/waiting-room.js";
import { words } from "./strings/index.js";

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
  if (entered) {
    const { call } = await import("./lib/in-visit.js");
    await call({ config, link, visit, logger, info, able, isHost: isCliniciansPage }, { stream, speakerId }, ended);
  } else await ended;
  for (const track of stream?.getTracks() ?? []) track.stop();
  // A denial, or a server's word alone, costs nobody their way back.
  const isOver = visit.state.end_is_final && visit.state.end_reason !== "left";
  if (isOver) await forget(link);
  const comeBack = visit.state.end_reason === "left" ? await takeAway(link) : undefined;
  showAfter(visit.state, comeBack);
}

/** Only the host downloads the form that asks for consent. */
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
