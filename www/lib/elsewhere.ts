/** Recording in another browser, where this one cannot: the reason, and a link to open the recorder there. */
import type { Capability } from "sealed-visit";
import { icon } from "sealed-visit/components";
import { words } from "../strings/index.js";
import type { CallVisit } from "./call.js";
import { ask } from "./dialogs.js";
import { button, copyButton, fill, h } from "./dom.js";
import { reasonOf } from "./frame.js";

export type CannotRecord = Extract<Capability, { supported: false }>;

/** In the person's language where these pages know the reason, else in the package's words. */
export function whyNot({ code, reason }: CannotRecord): string {
  const known: Record<string, string> = words().elsewhere.reasons;
  return known[code] ?? reason;
}

/** The recorder's address, to be copied. */
export function recorderLink(url: string): HTMLElement {
  const text = words().elsewhere;
  const field = h("input", { readonly: true, value: url, "aria-label": text.link, "data-testid": "recorder-url" });
  return h(
    "div",
    { class: "stack" },
    field,
    h(
      "div",
      { class: "row" },
      copyButton([icon("copy"), words().start.copy], {
        testid: "recorder-copy",
        text: url,
        done: [icon("check"), words().start.copied],
        shown: field,
      }),
    ),
    h("p", { class: "small muted" }, text.once),
  );
}

/** A recorder that waits to be let in, and is not of this page. */
export function waitingRecorder({ state }: CallVisit, own: string | undefined): string | undefined {
  return state.waiting.find(({ role, participant }) => role === "recorder" && participant !== own)?.participant;
}

/** Host: shows the recorder's link until it was opened and waits; resolves with false when the person gave up. */
export function openRecorderElsewhere(
  visit: CallVisit,
  why: CannotRecord,
  getLink: () => Promise<string>,
): Promise<boolean> {
  const text = words().elsewhere;
  const place = h("div", { class: "stack" }, h("p", {}, text.getting));
  const offer = () =>
    void getLink().then(
      (url) => fill(place, recorderLink(url), h("p", { role: "status" }, icon("clock"), ` ${text.waiting}`)),
      (error: unknown) =>
        fill(
          place,
          h("p", { class: "error", role: "alert" }, words().page.failed.replace("{why}", reasonOf(error))),
          button(text.again, { testid: "recorder-link-again", onclick: offer }),
        ),
    );
  let stop: () => void = () => undefined;
  offer();
  return ask<boolean>(
    "elsewhere-dialog",
    (close) => {
      stop = visit.on("state", () => {
        if (waitingRecorder(visit, undefined) !== undefined) close(true);
      });
      return h(
        "div",
        { class: "stack" },
        h("h2", { id: "elsewhere-dialog-title", tabindex: "-1" }, text.title),
        h("p", {}, whyNot(why)),
        h("p", {}, text.lead),
        place,
        h("div", { class: "row" }, button(text.cancel, { testid: "elsewhere-cancel", onclick: () => close(false) })),
      );
    },
    false,
  ).finally(() => stop());
}
