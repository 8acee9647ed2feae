/** Recording in another browser, where this one cannot: the reason, and a link to open the recorder there. */
import type { Capability } from "sealed-visit";
import { icon } from "sealed-visit/components";
import { words } from "../strings/index.js";
import type { CallVisit } from "./call.js";
import { copyButton } from "./copy.js";
import { ask } from "./dialogs.js";
import { button, type Child, fill, h } from "./dom.js";
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
  const shown = h("input", { readonly: true, value: url, "aria-label": text.link, "data-testid": "recorder-url" });
  const { copy: label, copied: done } = words().page;
  return h(
    "div",
    { class: "stack" },
    shown,
    h("div", { class: "row" }, copyButton({ testid: "recorder-copy", text: url, label, done, shown })),
    h("p", { class: "small muted" }, text.once),
  );
}

/** A recorder in the waiting room that does not belong to this page. */
export function waitingRecorder({ state }: CallVisit, own: string | undefined): string | undefined {
  return state.waiting.find(({ role, participant }) => role === "recorder" && participant !== own)?.participant;
}

/** Opening the recorder in another browser than the host's. */
export class RecorderElsewhere {
  readonly #visit: CallVisit;
  readonly #why: CannotRecord;
  readonly #getLink: () => Promise<string>;
  /** A new link voids earlier ones, so this one is kept. Only a person's click requests another. */
  #url: string | undefined;

  constructor(visit: CallVisit, why: CannotRecord, getLink: () => Promise<string>) {
    this.#visit = visit;
    this.#why = why;
    this.#getLink = getLink;
  }

  /** Shows how, until the recorder is open and in the waiting room. Resolves with false if the person cancels. */
  async open(): Promise<boolean> {
    const text = words().elsewhere;
    const place = h("div", { class: "stack" });
    let stop: () => void = () => undefined;
    this.#draw(place);
    return ask<boolean>(
      "elsewhere-dialog",
      (close) => {
        stop = this.#visit.on("state", () => {
          if (waitingRecorder(this.#visit, undefined) !== undefined) close(true);
        });
        return h(
          "div",
          { class: "stack" },
          h("h2", { id: "elsewhere-dialog-title", tabindex: "-1" }, text.title),
          h("p", {}, whyNot(this.#why)),
          h("p", {}, text.lead),
          place,
          h("p", { role: "status" }, icon("clock"), ` ${text.waiting}`),
          h("div", { class: "row" }, button(text.cancel, { testid: "elsewhere-cancel", onclick: () => close(false) })),
        );
      },
      false,
    ).finally(() => stop());
  }

  #draw(place: HTMLElement, problem?: Child): void {
    const text = words().elsewhere;
    const label = this.#url === undefined ? text.get : text.get_new;
    const get = button(label, { testid: "recorder-link-get", onclick: () => void this.#renew(place) });
    fill(
      place,
      this.#url !== undefined && recorderLink(this.#url),
      problem,
      h("div", { class: "row" }, get),
      h("p", { class: "small muted" }, text.voids),
    );
  }

  async #renew(place: HTMLElement): Promise<void> {
    const text = words();
    fill(place, h("p", { role: "status" }, text.elsewhere.getting));
    try {
      this.#url = await this.#getLink();
      this.#draw(place);
    } catch (error) {
      const told = text.page.failed.replace("{why}", reasonOf(error));
      this.#draw(place, h("p", { class: "error", role: "alert" }, told));
    }
    // The button that was pressed is gone.
    place.querySelector<HTMLElement>("input, button")?.focus();
  }
}
