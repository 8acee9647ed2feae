/**
 * The private link by which someone withdraws after the visit: withdrawals that were signed ahead stand in its
 * fragment, which no server sees. Anyone with the link can withdraw for this person, and do nothing else.
 */
import { fragment } from "./fragment.js";
import type { LoggedRound } from "./visit-log.js";

export interface Later {
  /** Signed withdrawals, by wish; only those that the terms leave room for. */
  statements: Partial<Record<"delete" | "keep", string>>;
  contact: string;
}

export function laterLink({ later, terms }: LoggedRound, contact: string): string {
  const url = new URL("withdraw.html", document.baseURI);
  const parameters = new URLSearchParams({ contact });
  if (later && terms.on_withdrawal !== "keep") parameters.set("delete", later.delete);
  if (later && terms.on_withdrawal !== "delete") parameters.set("keep", later.keep);
  url.hash = parameters.toString();
  return url.href;
}

export function laterFromLocation(): Later | null {
  const statements: Later["statements"] = {};
  for (const wish of ["delete", "keep"] as const) {
    const statement = fragment.get(wish);
    if (statement) statements[wish] = statement;
  }
  if (Object.keys(statements).length === 0) return null;
  return { statements, contact: fragment.get("contact") ?? "" };
}
