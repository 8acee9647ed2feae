/**
 * The visit's page, for clinician, patient and everyone else: what differs follows from the role that
 * the pass names. Before, during, after.
 */
import "./lib/fragment.js";
import { support, type Visit, type VisitState } from "sealed-visit";
import { defineVisitElements } from "sealed-visit/components";
import { recoveryNotice } from "./lib/recovery.js";
import { clinicInfo, type Config, loadConfig, signersHere } from "./lib/config.js";
import { fill, h } from "./lib/dom.js";
import { showPage } from "./lib/frame.js";
import { joinPage } from "./lib/join.js";
import { forget, infoFor, type Link, linkFromLocation, takeAway, templateOf, type VisitInfo } from "./lib/link.js";
import { VisitLogger } from "./lib/visit-log.js";
import { WaitingRoom, type WaitingRoomOptions } from "./lib/waiting-room.js";
import { words } from "./strings/index.js";

/** Whoever comes so long before the start is told when it is. */
const WELL_BEFORE_MS = 10 * 60_000;
const isCliniciansPage = location.pathname.includes("clinician");

defineVisitElements();
main().catch((error: unknown) => {
  showFatal(error).catch(() => showFailure(words().join.refused));
});

async function showFatal(error: unknown): Promise<void> {
  const { explain } = await import("./lib/trouble.js");
  showFailure(() => explain(error));
}

function showFailure(said: string | (() => Node[])): void {
  showPage((page) => {
    fill(
      page,
      h("h1", {}, words().page.title),
      h(
        "p",
        { class: "notice serious", role: "alert", "data-testid": "fatal" },
        typeof said === "string" ? said : said(),
      ),
    );
    return words().page.title;
  });
}

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
  const [able, early] = await Promise.all([support(), Promise.race([asking, soon()])]);
  const notice = early && (await inTime(config, link, early));
  if (notice === "over") return;
  const { visit, stream, speakerId } = await joinPage(config, clinic, link, {
    isHost: isCliniciansPage,
    able,
    // Only a clinician's browser records.
    notices: [notice, isCliniciansPage && recoveryNotice(config)],
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
  const { showAfter } = await import("./lib/after.js");
  showAfter(visit.state, comeBack);
}

/** Whoever comes early waits; what is known of the time before joining. A clock of this device decides nothing. */
async function inTime(config: Config, link: Link, given: VisitInfo): Promise<HTMLElement | "over" | null> {
  let info = given;
  const isAhead = () => info.starts_ms - info.now_ms > WELL_BEFORE_MS;
  const isOver = () => info.ended || info.now_ms >= info.closes_ms;
  if (!isAhead() && !isOver()) return null;
  const { isEarly, showOver, startsLine, untilOpen } = await import("./lib/early.js");
  if (!isOver() && isEarly(info)) info = await untilOpen(info, () => infoFor(config, link));
  if (!isOver()) return isAhead() ? startsLine(info) : null;
  // A server's word alone takes nobody's way back.
  showOver();
  return "over";
}

/** Whether it is early is said at once, unless the authority takes its time. */
function soon(): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), 2_000));
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
