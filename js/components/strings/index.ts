/**
 * The words of the components. English decides what strings there are; another language has the same
 * ones, or the compiler says which is missing.
 */
import { en } from "./en.js";
import { es } from "./es.js";

type Widen<T> = { [K in keyof T]: T[K] extends string ? string : Widen<T[K]> };

export type Strings = Widen<typeof en>;
export type StringsPatch = { [K in keyof Strings]?: Strings[K] extends string ? string : Partial<Strings[K]> };

export { en, es };

const shipped: Record<string, Strings> = { en, es };

/** The strings of a language (English where it is not shipped), with a deployment's own over them. */
export function stringsFor(language: string, patch: StringsPatch = {}): Strings {
  const base = shipped[language.toLowerCase().split("-")[0] ?? ""] ?? en;
  const merged = Object.entries(base).map(([name, value]) => {
    const own = patch[name as keyof Strings];
    if (own === undefined) return [name, value];
    return [name, typeof own === "string" ? own : { ...(value as Record<string, string>), ...own }];
  });
  return Object.fromEntries(merged) as Strings;
}

/** What a recipient is called; one that is newer than these strings shows its code. */
export function recipientName(role: string, strings: Strings): string {
  return (strings.recipient as Record<string, string>)[role] ?? role;
}
