/** The visit's dialogs: safety code, devices, leaving, and what a withdrawal does with the recording. */
import { icon } from "sealed-visit/components";
import type { VisitState } from "sealed-visit";
import { language, words } from "../strings/index.js";
import { button, fill, h, type Child } from "./dom.js";

/** Shows a modal dialog until something in it closes it; resolves with the value it was closed with. */
export function ask<T>(testid: string, draw: (close: (value: T) => void) => Child, onCancel: T): Promise<T> {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "data-testid": testid, "aria-labelledby": `${testid}-title` });
    // The caller resumes in the task of the answering click, not after the dialog's own event.
    const close = (value: T) => {
      resolve(value);
      dialog.close();
    };
    fill(dialog, draw(close));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(onCancel);
    });
    document.body.append(dialog);
    dialog.showModal();
    // On the question, not on an answer: Enter must not decide.
    dialog.querySelector<HTMLElement>("h2")?.focus();
  });
}

export function showSafetyCode(state: VisitState): Promise<boolean> {
  const text = words().safety;
  return ask(
    "safety-dialog",
    (close: (verified: boolean) => void) =>
      h(
        "div",
        { class: "stack" },
        h("h2", { id: "safety-dialog-title", tabindex: "-1" }, text.title),
        state.safety_code
          ? [
              h("p", {}, text.lead),
              h("p", { class: "code", "data-testid": "safety-code" }, state.safety_code),
              h(
                "p",
                {},
                icon(state.verified ? "check" : "clock"),
                " ",
                state.verified ? text.verified : text.not_verified,
              ),
              h("p", { class: "small" }, text.different.replace("{contact}", state.clinic.contact)),
            ]
          : h("p", {}, text.none),
        h(
          "div",
          { class: "row" },
          state.safety_code &&
            !state.verified &&
            button(text.same, { testid: "safety-same", class: "primary", onclick: () => close(true) }),
          button(words().page.close, { testid: "safety-close", onclick: () => close(false) }),
        ),
      ),
    false,
  );
}

export function confirmLeave({ forAll, recordsHere }: { forAll: boolean; recordsHere: boolean }): Promise<boolean> {
  const text = words().leave;
  return ask(
    "leave-dialog",
    (close: (leave: boolean) => void) =>
      h(
        "div",
        { class: "stack" },
        h("h2", { id: "leave-dialog-title", tabindex: "-1" }, forAll ? text.end_title : text.title),
        h("p", {}, forAll ? text.end_lead : text.lead),
        recordsHere && !forAll && h("p", { class: "notice" }, text.recording),
        h(
          "div",
          { class: "row" },
          button(text.no, { testid: "leave-no", onclick: () => close(false) }),
          button(forAll ? text.yes_end : text.yes_leave, {
            testid: forAll ? "end-confirm" : "leave-confirm",
            class: "alert",
            onclick: () => close(true),
          }),
        ),
      ),
    false,
  );
}

export type Wish = { kind: "withdraw"; wish?: "keep" | "delete" } | { kind: "back" };

/** After this time without an answer, nothing is undone: the recording stops. */
const WISH_LIMIT_S = 15;

/**
 * Asks what should happen to the recording. Without an answer, recording does not go on: after the
 * limit, and with Escape, the withdrawal goes out without a wish.
 */
export function askWish(): Promise<Wish> {
  const text = words().recording;
  let left_s = WISH_LIMIT_S;
  const countdown = h("p", { class: "muted small" });
  const tell = () => {
    countdown.textContent = text.wish_auto.replace("{seconds}", new Intl.NumberFormat(language()).format(left_s));
  };
  tell();
  let timer: ReturnType<typeof setInterval> | undefined;
  return ask<Wish>(
    "wish-dialog",
    (close) => {
      timer = setInterval(() => {
        left_s -= 1;
        if (left_s <= 0) close({ kind: "withdraw" });
        else tell();
      }, 1_000);
      const choose = (wish: "keep" | "delete") => () => close({ kind: "withdraw", wish });
      return h(
        "div",
        { class: "stack" },
        h("h2", { id: "wish-dialog-title", tabindex: "-1" }, text.wish_title),
        h("p", {}, text.wish_lead),
        button(text.wish_delete, { testid: "withdraw-delete", onclick: choose("delete") }),
        button(text.wish_keep, { testid: "withdraw-keep", onclick: choose("keep") }),
        button(text.wish_back, { testid: "withdraw-back", onclick: () => close({ kind: "back" }) }),
        countdown,
      );
    },
    { kind: "withdraw" },
  ).finally(() => clearInterval(timer));
}
