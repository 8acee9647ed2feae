/** The stand-alone recorder: a device of its own that takes part as the declared recorder, and says how safe everything is. */
import "./lib/fragment.js";
import { joinAsRecorder, support } from "sealed-visit";
import { clinicInfo, loadConfig } from "./lib/config.js";
import { fill, h } from "./lib/dom.js";
import { reasonOf, showPage } from "./lib/frame.js";
import { forget, linkFor, linkFromLocation, passFor } from "./lib/link.js";
import { type CannotRecord, recorderLink, whyNot } from "./lib/elsewhere.js";
import { recoveryNotice } from "./lib/recovery.js";
import { ProgressPanel } from "./lib/progress-panel.js";
import type { CallRecorder } from "./lib/call.js";
import { words } from "./strings/index.js";
import { recorderWords } from "./strings/recorder.js";

let recorder: CallRecorder | undefined;
let panel: ProgressPanel | undefined;
let failure: string | undefined;
let cannot: CannotRecord | undefined;
let address = "";
let recovery: HTMLElement | undefined;

main().catch((error: unknown) => {
  failure = words().page.failed.replace("{why}", reasonOf(error));
  show({ ready: false });
});

async function main(): Promise<void> {
  const given = linkFromLocation();
  const link = given === "damaged" ? null : given;
  const config = await loadConfig();
  const clinic = clinicInfo(config);
  recovery = recoveryNotice(config);
  const able = await support();
  if (!link) failure = given === "damaged" ? words().join.link_damaged : words().join.no_link;
  else if (!able.recorder.supported) {
    cannot = able.recorder;
    address = linkFor("recorder", link);
  }
  if (!link || cannot) {
    show({ ready: false });
    return;
  }
  show({
    ready: true,
    join: async (name) => {
      const made = await joinAsRecorder({
        relayUrl: config.relay_url,
        rootKey: config.root_key,
        clinicDocument: config.clinic_document,
        vaultUrl: config.vault_url,
        displayName: name,
        storageKey: link.visit,
        getPass: (request) => passFor(config, link, request),
      });
      recorder = made;
      panel = new ProgressPanel(made);
      made.on("state", (state) => {
        if (state.phase === "ended" && state.reason !== "stopped") void forget(link);
        redraw();
      });
      redraw();
    },
    clinic: clinic.name,
  });
}

type Show = { ready: false } | { ready: true; join: (name: string) => Promise<void>; clinic: string };

let redraw: () => void = () => undefined;

function show(what: Show): void {
  showPage((page) => {
    redraw = () => draw(page, what);
    redraw();
    return recorderWords().recorder.title;
  });
}

function draw(page: HTMLElement, what: Show): void {
  const text = recorderWords().recorder;
  fill(
    page,
    h("h1", {}, text.title),
    recovery,
    failure !== undefined && h("p", { class: "notice serious", role: "alert", "data-testid": "fatal" }, failure),
    cannot && elsewhere(cannot),
    what.ready && !recorder && joinForm(what),
    recorder &&
      h(
        "p",
        { class: "notice", role: "status", "data-testid": "recorder-state", "data-phase": recorder.state.phase },
        phaseText(recorder),
      ),
    panel?.element,
  );
}

/** The link was not used up: it can be opened in a browser that records. */
function elsewhere(why: CannotRecord): HTMLElement {
  const text = words().elsewhere;
  return h(
    "section",
    { class: "card stack", "data-testid": "elsewhere" },
    h("h2", {}, text.title),
    h("p", { class: "notice serious", role: "alert" }, whyNot(why)),
    h("p", {}, text.lead_here),
    recorderLink(address),
  );
}

function joinForm({ join, clinic }: Extract<Show, { ready: true }>): HTMLElement {
  const text = recorderWords().recorder;
  const name = h("input", { value: `${text.title}, ${clinic}`, maxlength: 80, "data-testid": "join-name" });
  const problem = h("p", { class: "error", role: "alert" });
  const button = h("button", { type: "submit", class: "primary", "data-testid": "join-button" }, text.button);
  return h(
    "form",
    {
      class: "card stack",
      onsubmit: async (event) => {
        event.preventDefault();
        button.disabled = true;
        await join(name.value.trim() || text.title).catch((error: unknown) => {
          button.disabled = false;
          problem.textContent = words().page.failed.replace("{why}", reasonOf(error));
        });
      },
    },
    h("p", {}, text.lead),
    h("label", { class: "field" }, h("span", {}, text.name), name),
    problem,
    button,
  );
}

function phaseText({ state }: CallRecorder): string {
  const text = recorderWords().recorder;
  switch (state.phase) {
    case "waiting":
      return text.waiting;
    case "starting":
    case "recording":
      return text.in;
    case "ending":
      return text.out;
    case "ended":
      return text.ended;
    case "failed":
      return recorderWords().progress.state_failed.replace("{why}", reasonOf(state.error));
  }
}
