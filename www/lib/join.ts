/** Before the visit: the clinic's name, the privacy notice, the device check, the name; then connecting. */
import { joinVisit, preload, type Support, type Visit } from "sealed-visit";
import { icon } from "sealed-visit/components";
import { language, words } from "../strings/index.js";
import { idsIn, keptChoices } from "./device-choice.js";
import type { ClinicInfo, Config } from "./config.js";
import { type Child, fill, h } from "./dom.js";
import { showPage } from "./frame.js";
import { AuthorityError, type Link, passFor, pingAuthority } from "./link.js";

/** Words for what went wrong; nobody downloads them who comes in. */
const trouble = () => import("./trouble.js");

/** How long joining waits for devices that are being opened; a prompt that nobody answers keeps nobody out. */
const DEVICES_WITHIN_MS = 3_000;

export interface Joined {
  visit: Visit;
  stream: MediaStream | null;
  speakerId: string;
}

/** Resolves when the person came in, or waits to be let in. */
export async function joinPage(
  config: Config,
  clinic: ClinicInfo,
  link: Link,
  { isHost, notices, able }: { isHost: boolean; notices: Child[]; able: Support },
): Promise<Joined> {
  if (able.visit.supported) preload();
  return new Promise((resolve) => {
    const check = h("device-check");
    check.support = able.visit.supported ? { ok: true, reasons: [] } : { ok: false, reasons: [able.visit.reason] };
    check.ping = (signal) => pingAuthority(config, link, signal);
    check.uses = {
      relayUrl: config.relay_url,
      // Only a clinician's browser records.
      ...(isHost && able.recorder.supported && { vaultUrl: config.vault_url }),
    };
    const devicesOpen = new Promise((open) => check.addEventListener("sv-devices", open, { once: true }));
    const name = h("input", {
      autocomplete: "name",
      maxlength: 80,
      required: true,
      id: "name",
      "aria-describedby": "name-hint",
      "data-testid": "join-name",
    });
    // Codes are letters and digits in any case: a phone should neither capitalize nor correct them.
    const passcode = h("input", {
      ...{ autocomplete: "one-time-code", autocapitalize: "none", autocorrect: "off", inputmode: "text" },
      ...{ spellcheck: "false", enterkeyhint: "go", "data-testid": "join-passcode" },
    });
    const passcodeField = h("label", { class: "field", hidden: true });
    const held = h("p", { role: "status", "data-testid": "join-held" });
    const problem = h("p", { class: "error", role: "alert", "data-testid": "join-error" });
    let busy = false;
    let failure: unknown;
    const showFailure = async () => {
      if (failure === undefined) return;
      try {
        fill(problem, (await trouble()).explain(failure));
      } catch {
        // Not even the words could be loaded.
        problem.textContent = words().join.refused;
      }
    };

    const join = async (button: HTMLButtonElement) => {
      const text = words().join;
      // Characters that nobody sees are no name.
      if (!/[\p{L}\p{N}\p{S}]/u.test(name.value)) {
        problem.textContent = text.name_missing;
        name.focus();
        return;
      }
      if (busy) return;
      busy = true;
      button.disabled = true;
      button.textContent = text.joining;
      failure = undefined;
      fill(problem);
      try {
        const visit = await joinVisit({
          relayUrl: config.relay_url,
          rootKey: config.root_key,
          clinicDocument: config.clinic_document,
          vaultUrl: config.vault_url,
          displayName: name.value.trim(),
          storageKey: link.visit,
          getPass: (request) => {
            const getPass = () => passFor(config, link, request, passcode.value);
            return getPass().catch(async (error) => (await trouble()).waitForClinic(error, getPass, held));
          },
        });
        // Devices that are just being opened come along. A permission that is given later turns nothing on.
        if (!check.stream)
          await Promise.race([devicesOpen, new Promise((soon) => setTimeout(soon, DEVICES_WITHIN_MS))]);
        resolve({ visit, stream: check.release(), speakerId: check.speakerId });
      } catch (error) {
        busy = false;
        button.disabled = false;
        button.textContent = text.button;
        failure = error;
        await showFailure();
        if (codeOf(error).includes("passcode")) {
          passcodeField.hidden = false;
          passcode.select();
        }
      }
    };

    showPage((main) => {
      const text = words();
      const title = (isHost ? text.join.title_clinician : text.join.title_other).replace("{clinic}", clinic.name);
      const button = h("button", { type: "submit", class: "primary", "data-testid": "join-button" }, text.join.button);
      check.lang = language();
      fill(
        passcodeField,
        h("span", {}, text.join.passcode),
        passcode,
        h("span", { class: "muted small" }, text.join.passcode_hint),
      );
      const form = h(
        "form",
        {
          class: "card stack",
          novalidate: true,
          onsubmit: (event) => {
            event.preventDefault();
            void join(button);
          },
        },
        h("label", { class: "field", for: "name" }, h("span", {}, text.join.name), name),
        h("p", { class: "muted small", id: "name-hint" }, text.join.name_hint),
        passcodeField,
        held,
        problem,
        button,
      );
      void showFailure();
      fill(
        main,
        config.logo_url !== undefined &&
          h("img", { class: "logo", src: config.logo_url, alt: clinic.name, "data-testid": "logo" }),
        h("h1", {}, title),
        notices,
        h("p", {}, text.join.lead),
        able.visit.supported
          ? h("section", { class: "card" }, check)
          : h(
              "p",
              { class: "notice serious", "data-testid": "unsupported" },
              text.join.unsupported,
              h("span", { class: "small muted error-code" }, able.visit.code),
            ),
        able.visit.supported && form,
        privacyNotice(clinic),
      );
      return title;
    });
    const { camera, microphone } = keptChoices();
    if (able.visit.supported) {
      // After a reload, devices that were off stay off. A muted microphone is opened but sends nothing.
      void check.start({ withDevices: true, wanted: idsIn({ camera, microphone }), off: camera.on ? [] : ["camera"] });
    }
  });
}

function privacyNotice({ contact }: ClinicInfo): HTMLElement {
  const text = words().page;
  return h(
    "section",
    { class: "card stack", "data-testid": "privacy-notice" },
    h("h2", {}, icon("lock"), ` ${text.privacy_title}`),
    h("p", {}, text.privacy_1),
    h("p", {}, text.privacy_2),
    h("p", {}, text.privacy_3.replace("{contact}", contact)),
  );
}

/** The authority's code: `getPass` failed, and its error is the cause of the package's. */
function codeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof AuthorityError ? error.cause : error;
  return cause instanceof AuthorityError ? cause.code : "";
}
