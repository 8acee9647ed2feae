/**
 * The strings of the components. English defines which strings exist; another language has the same
 * ones, or the compiler names the missing one.
 */
import { en } from "./en.js";
import type { HostStrings } from "./host.js";

type Widen<T> = { [K in keyof T]: T[K] extends string ? string : Widen<T[K]> };

export type Strings = Widen<typeof en>;
type All = Strings & HostStrings;
export type StringsPatch = { [K in keyof All]?: All[K] extends string ? string : Partial<All[K]> };

export { en };

/** Languages besides English; each is downloaded only when it is shown. */
const others: Record<string, () => Promise<Strings>> = {
  es: async () => (await import("./es.js")).es,
};

const loaded = new Map<string, Strings>([["en", en]]);

/**
 * Loads the strings of a language; `false` where there is nothing to load, or it is there already.
 * Components call this automatically and show English meanwhile.
 */
export async function loadStrings(language: string): Promise<boolean> {
  const wanted = primary(language);
  const load = others[wanted];
  if (!load || loaded.has(wanted)) return false;
  loaded.set(wanted, await load());
  return true;
}

/** The strings of a language (English if it is not available or not loaded), overridden by a deployment's own. */
export function stringsFor(language: string, patch: StringsPatch = {}): Strings {
  const base = loaded.get(primary(language)) ?? en;
  const merged = Object.entries(base).map(([name, value]) => {
    const own = patch[name as keyof Strings];
    if (own === undefined) return [name, value];
    return [name, typeof own === "string" ? own : { ...(value as Record<string, string>), ...own }];
  });
  return Object.fromEntries(merged) as Strings;
}

/** The name of a recipient role; a role newer than these strings shows its code. */
export function recipientName(role: string, strings: Strings): string {
  return (strings.recipient as Record<string, string>)[role] ?? role;
}

/** The language without region or script. */
export function primary(language: string): string {
  return language.toLowerCase().split("-")[0] ?? "";
}
