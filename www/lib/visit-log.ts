/**
 * What one person keeps of a visit: recorded or not, what was asked, what was answered.
 *
 * It is made from the states that this page was shown, stays in this tab (sessionStorage), and can be
 * saved as a file. It is never sent.
 */
import type { ConsentText, EndReason, Purpose, RecipientRef, Terms, Visit, VisitState } from "sealed-visit";
import { claimsOf } from "./config.js";

export interface LoggedRound {
  round: string;
  asked_ms: number;
  purpose: Purpose;
  recipients: readonly RecipientRef[];
  terms: Terms;
  texts: readonly ConsentText[];
  answer: "grant" | "refusal" | "withdrawal" | null;
  answered_ms?: number;
  /** The signed answers, and a withdrawal if there was one, as any JWT library can check them. */
  signed?: string[];
  /** Withdrawals signed ahead: with one of them this person can still withdraw after the visit. Not for others. */
  later?: { delete: string; keep: string };
  withdrawn_ms?: number;
  wish?: "keep" | "delete";
}

export interface VisitLog {
  v: 1;
  visit: string;
  clinic: { name: string; contact: string };
  me: { role: string; name: string };
  started_ms: number;
  ended_ms?: number;
  end_reason?: EndReason;
  people: { name: string; role: string }[];
  rounds: LoggedRound[];
  /** When a recorder was in the visit: it could record then. */
  recorder_present: { from_ms: number; to_ms?: number; purpose?: Purpose }[];
}

const STORED = "sealed-visit:record";

export class VisitLogger {
  readonly log: VisitLog;
  #papers: { statement: string; withdrawals: readonly string[] }[] = [];

  constructor(state: VisitState) {
    this.log = {
      v: 1,
      visit: state.visit,
      clinic: state.clinic,
      me: { role: state.me.role, name: state.me.name },
      started_ms: Date.now(),
      people: [],
      rounds: [],
      recorder_present: [],
    };
    this.update(state);
  }

  update(state: VisitState): void {
    const { log } = this;
    for (const { name, role } of state.roster) {
      const known = log.people.some((person) => person.name === name && person.role === role);
      if (name && !known) log.people.push({ name, role });
    }
    this.#noteRound(state);
    this.#noteRecorder(state);
    this.#file();
    if (state.phase === "ended" && log.ended_ms === undefined) {
      log.ended_ms = Date.now();
      if (state.end_reason) log.end_reason = state.end_reason;
    }
    store(log);
  }

  /** What this person signed, whenever it comes. */
  listen(visit: Pick<Visit, "on">): void {
    visit.on("signed", ({ statement, withdrawals }) => {
      this.#papers.push({ statement, withdrawals });
      this.#file();
    });
    visit.on("withdrawal", ({ statement }) => {
      this.#papers.push({ statement, withdrawals: [] });
      this.#file();
    });
  }

  /** A paper may come before the state that shows its round. */
  #file(): void {
    this.#papers = this.#papers.filter(({ statement, withdrawals }) => {
      const { round } = claimsOf(statement) as { round: string };
      const noted = this.log.rounds.find((candidate) => candidate.round === round);
      if (!noted) return true;
      noted.signed = [...(noted.signed ?? []), statement];
      const [remove, keep] = withdrawals;
      if (remove !== undefined && keep !== undefined) noted.later = { delete: remove, keep };
      return false;
    });
    store(this.log);
  }

  withdrew(wish: "keep" | "delete" | undefined): void {
    const round = this.log.rounds.at(-1);
    if (!round) return;
    round.withdrawn_ms = Date.now();
    if (wish) round.wish = wish;
    store(this.log);
  }

  #noteRound({ consent }: VisitState): void {
    if (!consent) return;
    const { round, purpose, recipients, terms, texts, my_answer } = consent;
    let noted = this.log.rounds.find((candidate) => candidate.round === round);
    if (!noted) {
      noted = { round, asked_ms: Date.now(), purpose, recipients, terms, texts, answer: null };
      this.log.rounds.push(noted);
    }
    noted.texts = texts;
    if (my_answer && noted.answer === null) {
      noted.answer = my_answer;
      noted.answered_ms = Date.now();
    }
  }

  #noteRecorder({ roster, consent, phase }: VisitState): void {
    const present = phase !== "ended" && roster.some(({ role }) => role === "recorder");
    const last = this.log.recorder_present.at(-1);
    if (present && (!last || last.to_ms !== undefined)) {
      this.log.recorder_present.push({ from_ms: Date.now(), ...(consent && { purpose: consent.purpose }) });
    }
    if (!present && last && last.to_ms === undefined) last.to_ms = Date.now();
  }
}

export function storedLog(): VisitLog | null {
  try {
    const text = sessionStorage.getItem(STORED);
    return text === null ? null : (JSON.parse(text) as VisitLog);
  } catch {
    return null;
  }
}

function store(log: VisitLog): void {
  try {
    sessionStorage.setItem(STORED, JSON.stringify(log));
  } catch {
    // Storage is refused: the record lasts as long as the page.
  }
}
