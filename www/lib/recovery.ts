/**
 * Resumes uploads that an earlier page of this browser left unfinished. The notice shows no detail of any
 * visit: on a shared computer someone else may read it.
 */
import { recoverSpools, type SpoolStatus } from "sealed-visit";
import { icon } from "sealed-visit/components";
import { words } from "../strings/index.js";
import type { Config } from "./config.js";
import { fill, h } from "./dom.js";
import { megabytes } from "./progress-panel.js";

/** An element that shows itself while there is something to say. */
export function recoveryNotice(config: Config): HTMLElement {
  const element = h("div", { class: "notice", role: "status", hidden: true, "data-testid": "recovery" });
  const parts = new Map<string, SpoolStatus>();
  const show = () => {
    const text = words().page;
    const all = [...parts.values()];
    const unsent = all.filter(({ state }) => state === "sealed");
    const left = unsent.reduce((sum, { sealed_bytes, uploaded_bytes }) => sum + sealed_bytes - uploaded_bytes, 0);
    element.hidden = all.length === 0;
    const said = unsent.length > 0 ? text.recovering.replace("{left}", megabytes(left)) : text.recovered;
    fill(element, icon(unsent.length > 0 ? "clock" : "shield"), ` ${said}`);
  };
  recoverSpools({
    rootKey: config.root_key,
    clinicDocument: config.clinic_document,
    wipeOrders: config.wipe_orders ?? [],
    onProgress: (status) => {
      parts.set(`${status.recording}/${status.part}`, status);
      show();
    },
  }).catch(() => {
    // Nothing is lost: what is sealed stays, and the next page tries again.
    element.hidden = false;
    fill(element, icon("warning"), ` ${words().page.recovery_failed}`);
  });
  window.addEventListener("sv-page-language", show);
  return element;
}
