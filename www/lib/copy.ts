/** Copying a link: the button and the outcome in words. */
import { icon } from "sealed-visit/components";
import { words } from "../strings/index.js";
import { button, type Child, fill, h } from "./dom.js";

interface CopyOptions {
  testid: string;
  class?: string;
  /** What is copied, where several things can be. */
  what?: string;
  text: string;
  label: string;
  done: string;
  /** Where `text` stands on the page, for copying it by hand. */
  shown?: HTMLInputElement;
}

export function copyButton({ testid, class: name, what, text, label, done, shown }: CopyOptions): Child {
  const told = h("span", { role: "status", class: "small" });
  const copy = button([icon("copy"), label], {
    testid,
    class: name,
    onclick: async () => {
      try {
        // Not there on a page that is not served over HTTPS.
        await navigator.clipboard.writeText(text);
        fill(told, icon("check"), ` ${done}`);
      } catch {
        shown?.select();
        told.textContent = words().page.copy_failed;
      }
    },
  });
  if (what !== undefined) copy.setAttribute("aria-label", `${label}: ${what}`);
  return [copy, told];
}
