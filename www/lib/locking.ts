/**
 * The host's page locks the visit when everyone who was invited is there, once: whoever unlocks it by hand is not
 * overruled. The group's lock is the one that counts; the authority is told, so that it refuses unused links too.
 */
import type { VisitState } from "sealed-visit";
import type { CallVisit } from "./call.js";
import type { Overview } from "./link.js";

export interface VisitLockOptions {
  visit: Pick<CallVisit, "state" | "lock" | "admit">;
  /** Whether the visit's template leaves locking to the host. */
  byHand: boolean;
  /** Informs the authority. */
  lockLinks: (locked: boolean) => Promise<void>;
}

export class VisitLock {
  readonly #options: VisitLockOptions;
  #isBusy = false;

  constructor(options: VisitLockOptions) {
    this.#options = options;
    this.note(options.visit.state);
  }

  /** A visit that any host locked before is not locked automatically again. */
  note({ visit, locked }: VisitState): void {
    if (locked) remember(visit);
  }

  async set(locked: boolean): Promise<void> {
    const { visit, lockLinks } = this.#options;
    await visit.lock(locked);
    await lockLinks(locked);
  }

  /** Participants who were in the visit before need no unlocking. */
  async unlockAndAdmit(participant: string): Promise<void> {
    const { visit } = this.#options;
    try {
      await visit.admit(participant);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "visit-locked")) throw error;
      await this.set(false);
      await visit.admit(participant);
    }
  }

  /** Host: checks whether everyone is here, and whether the authority knows about the lock. */
  async look(overview: Overview): Promise<void> {
    const { visit, byHand, lockLinks } = this.#options;
    const { state } = visit;
    if (this.#isBusy || !state.me.host || state.phase !== "live") return;
    this.#isBusy = true;
    try {
      if (!state.locked && !byHand && !isRemembered(state.visit) && isComplete(overview, state)) await this.set(true);
      else if (overview.locked !== state.locked) await lockLinks(state.locked);
    } finally {
      this.#isBusy = false;
    }
  }
}

/** Whether everyone invited is in the visit. */
function isComplete({ participants }: Overview, { roster }: VisitState): boolean {
  const here = new Set(roster.map(({ participant }) => participant));
  return participants.length > 1 && participants.every(({ participant }) => here.has(participant));
}

const keyOf = (visit: string) => `sealed-visit:locked:${visit}`;
/** In this page only, where the browser refuses storage. */
const kept = new Set<string>();

function isRemembered(visit: string): boolean {
  try {
    return kept.has(visit) || sessionStorage.getItem(keyOf(visit)) !== null;
  } catch {
    return kept.has(visit);
  }
}

function remember(visit: string): void {
  kept.add(visit);
  try {
    sessionStorage.setItem(keyOf(visit), "");
  } catch {
    // Storage is refused: after a reload the page may lock again.
  }
}
