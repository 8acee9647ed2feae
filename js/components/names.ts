/** People's names on screen. */
import type { Strings } from "./strings/index.js";
import type { ConsentRound, VisitView } from "./view.js";

export function nameOf(
  participant: string | null | undefined,
  { roster }: Pick<VisitView, "roster">,
  strings: Strings,
): string {
  const entry = roster.find((candidate) => candidate.participant === participant);
  return entry?.name ?? (entry ? strings.role[entry.role] : strings.roster.no_name);
}

/** Who asks; also for someone who waits, and sees no roster. */
export function hostOf(
  { host, host_name }: Pick<ConsentRound, "host" | "host_name">,
  view: Pick<VisitView, "roster">,
  strings: Strings,
): string {
  return host_name ?? nameOf(host, view, strings);
}
