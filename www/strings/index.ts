/** The pages' words in the language that the person picked, or the browser asks for. */
import { loadStrings } from "sealed-visit/components";
import type { en } from "./en.js";

type Widen<T> = { [K in keyof T]: T[K] extends string ? string : Widen<T[K]> };

export type PageStrings = Widen<typeof en>;

export const languages = ["en", "es"] as const;
export type Language = (typeof languages)[number];

/** A language is downloaded only when it is shown. */
const load: Record<Language, () => Promise<PageStrings>> = {
  en: async () => (await import("./en.js")).en,
  es: async () => (await import("./es.js")).es,
};
const STORED = "sealed-visit:language";
let shown = await loadAll(language());

export function language(): Language {
  const wanted = [new URLSearchParams(location.search).get("lang"), stored(), ...navigator.languages];
  for (const tag of wanted) {
    const found = languages.find((known) => tag?.toLowerCase().split("-")[0] === known);
    if (found) return found;
  }
  return "en";
}

export const words = (): PageStrings => shown;

/** Stores the choice and notifies the page: views listen for `sv-page-language`. */
export async function pickLanguage(next: Language): Promise<void> {
  shown = await loadAll(next);
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // Storage is refused: the choice lasts as long as the page.
  }
  const url = new URL(location.href);
  url.searchParams.set("lang", next);
  history.replaceState(history.state, "", url);
  document.documentElement.lang = next;
  window.dispatchEvent(new Event("sv-page-language"));
}

function stored(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

/** The page's words, and with them the components'. */
async function loadAll(wanted: Language): Promise<PageStrings> {
  const [words] = await Promise.all([load[wanted](), loadStrings(wanted)]);
  return words;
}
