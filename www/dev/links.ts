/** Examples of people who are early, late or locked out, and of what the host sees of it. */
import { AuthorityError, type LinkHelp, type Overview, type VisitInfo } from "../lib/link.js";
import { fill, h } from "../lib/dom.js";
import { showOver, startsLine, untilOpen } from "../lib/early.js";
import { showPage } from "../lib/frame.js";
import { explain, reasonByCode, waitForClinic } from "../lib/trouble.js";

const HOUR_MS = 3_600_000;
/** A Monday in December 2026. */
const starts_ms = Date.UTC(2026, 11, 7, 20, 0);
const info: VisitInfo = {
  now_ms: starts_ms - 72 * HOUR_MS,
  opens_ms: starts_ms - 24 * HOUR_MS,
  starts_ms,
  ends_ms: starts_ms + HOUR_MS,
  closes_ms: starts_ms + 3 * HOUR_MS,
  locked: false,
  ended: false,
};

export const linkPages: Record<string, () => void> = {
  early: () => void untilOpen(info, async () => info),
  over: showOver,
  starts: () => showLines(() => [startsLine(info)]),
  held: () => showHeld(new AuthorityError(410, "link_used", "", "4821")),
  "held-locked": () => showHeld(new AuthorityError(423, "locked", "")),
};
for (const code of Object.keys(reasonByCode))
  linkPages[`trouble-${code}`] = () => {
    const error = Object.assign(new Error(""), { code, detail: { now_ms: starts_ms } });
    showLines(() => [h("p", { class: "error", role: "alert" }, explain(error))]);
  };

function showLines(lines: () => Node[]): void {
  showPage((main) => {
    fill(main, h("h1", {}, "Sealed Visit"), h("section", { class: "card stack" }, lines()));
    return "Example";
  });
}

function showHeld(error: AuthorityError): void {
  const place = h("p", { role: "status", class: "held" });
  const refuses = () => Promise.reject(error);
  void waitForClinic(error, refuses, place);
  showLines(() => [place]);
}

/** A host's links: one person is fine, one asks from another browser, one mistyped the passcode. */
export function standingLinks(clinician: string, patient: string, guest: string): LinkHelp & { overview: Overview } {
  const nobody = { second_browser: 0, browsers: [], locked: false, turned_away: false, help: [] };
  const overview: Overview = {
    ends_ms: info.ends_ms,
    locked: false,
    participants: [
      { ...nobody, participant: clinician, role: "clinician", redeemed: true },
      {
        ...nobody,
        ...{ participant: patient, role: "patient", redeemed: true, second_browser: 1 },
        browsers: [{ code: "4821", at_ms: starts_ms, approved: false }],
      },
      { ...nobody, participant: guest, role: "guest", redeemed: false, locked: true },
    ],
  };
  const invited = (participant: string) => {
    const found = overview.participants.find((entry) => entry.participant === participant);
    if (!found) throw new Error("nobody");
    return found;
  };
  const note = (participant: string, what: "new_link" | "approved" | "passcode_unlocked") =>
    invited(participant).help.push({ what, by: "host", at_ms: starts_ms });
  return {
    overview,
    look: async () => structuredClone(overview),
    newLink: async ({ participant }) => {
      Object.assign(invited(participant), structuredClone(nobody));
      note(participant, "new_link");
      return `https://visits.example/patient.html#visit=v&secret=${participant}`;
    },
    approve: async (participant, code) => {
      for (const browser of invited(participant).browsers) browser.approved = browser.code === code;
      note(participant, "approved");
    },
    unlockPasscode: async (participant) => {
      invited(participant).locked = false;
      note(participant, "passcode_unlocked");
    },
  };
}
