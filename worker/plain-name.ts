/**
 * Names as they are shown. A name may hold characters that nobody sees, that turn the text around it,
 * or that break out of its line: they are taken out before a name reaches the page or a recording's labels. The commitment
 * in the pass is over the name as it was given.
 */
import type { RosterEntry, VisitState } from "./core-types.js";

/** Control, format (zero-width, bidirectional, tags), private use, and what else draws nothing: fillers, selectors. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{DI}\u2800]+/gu;
/** More marks on one letter than any language needs: they would reach into other lines. */
const PILES = /(\p{M}{4})\p{M}+/gu;
const LONGEST = 80;

/** Null when nothing is left. */
export function plainName(name: string): string | null {
  const seen = name.normalize("NFC").replace(/\s/gu, " ").replace(HIDDEN, "").replace(PILES, "$1");
  const plain = [...seen.replace(/\p{Z}+/gu, " ").trim()].slice(0, LONGEST).join("").trim();
  return plain === "" ? null : plain;
}

/** A state as the page gets it. */
export function withPlainNames(state: VisitState): VisitState {
  const { me, roster, consent } = state;
  const named = (entry: RosterEntry) => (entry.name ? { ...entry, name: plainName(entry.name) } : entry);
  return {
    ...state,
    me: { ...me, name: plainName(me.name) ?? "" },
    roster: roster.map(named),
    ...(consent?.host_name && { consent: { ...consent, host_name: plainName(consent.host_name) } }),
  };
}
