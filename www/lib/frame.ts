/** What every page has around it: the skip link, the brand, the language switch; and errors in words. */
import { icon } from "sealed-visit/components";
import { language, languages, pickLanguage, words } from "../strings/index.js";
import { fill, h } from "./dom.js";

export interface Page {
  /** What the page shows. */
  main: HTMLElement;
}

/**
 * Redraws the page whenever the language changes. `draw` fills `main` and returns the title.
 */
export function showPage(draw: (main: HTMLElement) => string): void {
  const main = h("main", { id: "main", class: "stack" });
  const head = h("header", { class: "page-head no-print" });
  fill(document.body, h("div", { class: "page" }, head, main));
  const redraw = () => {
    document.documentElement.lang = language();
    fill(head, h("span", { class: "brand" }, icon("shield"), words().page.title), languageSwitch());
    document.title = `${draw(main)} – ${words().page.title}`;
  };
  window.addEventListener("sv-page-language", redraw);
  redraw();
}

export function languageSwitch(): HTMLElement {
  return h(
    "div",
    { class: "languages", role: "group", "aria-label": words().page.language },
    ...languages.map((tag) =>
      h(
        "button",
        {
          type: "button",
          class: "compact",
          lang: tag,
          "aria-pressed": tag === language() ? "true" : "false",
          "data-testid": `language-${tag}`,
          onclick: () => void pickLanguage(tag),
        },
        new Intl.DisplayNames(tag, { type: "language" }).of(tag) ?? tag,
      ),
    ),
  );
}

/** An error as a person can pass it on: its code if it has one, else its message. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error)
    return "code" in error && typeof error.code === "string" ? `${error.message} (${error.code})` : error.message;
  return String(error);
}
