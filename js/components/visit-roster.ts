/**
 * `<visit-roster>`: who can see and hear this visit, and who waits to come in.
 *
 * Property `view`: the visit's state. Everyone sees who is host, and whether the visit is locked. The host gets buttons;
 * they send `sv-admit`, `sv-deny`, `sv-remove`, `sv-hand-over` (to another clinician), with `{ participant }`,
 * `sv-admit-all`, and `sv-lock` with `{ locked }`; while a recorder is in the visit `sv-ask` (consent first) and
 * `sv-stop-and-admit`; while the visit is locked `sv-unlock-and-admit`.
 */
import { type Child, h, replaceChildren } from "./dom.js";
import { VisitElement } from "./element.js";
import { formatText } from "./format.js";
import { icon } from "./icons.js";
import { lookAlikes } from "./look-alikes.js";
import type { RosterEntry, VisitView, WaitingEntry } from "./view.js";
import { recorderInRoster } from "./view.js";

const css = `
.list { list-style: none; margin: 0; padding: 0; display: grid; gap: 4px; }
.entry { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25em 0.6em; padding: 0.5em 0; border-block-end: 1px solid var(--_line); }
.entry:last-child { border-block-end: 0; }
.who { flex: 1 1 9em; min-inline-size: 0; overflow-wrap: anywhere; }
.name { font-weight: 600; }
.entry.recorder, .entry.server { border: 2px dashed var(--_alert); border-radius: var(--_radius); padding-inline: 0.6em; }
.entry.away { color: var(--_muted); }
.waiting { background: var(--_notice); border-radius: var(--_radius); padding: 0.75em 1em; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; }
.question { flex-basis: 100%; display: grid; gap: 8px; background: var(--_sunken); border-radius: var(--_radius); padding: 0.75em 1em; }
.badge { display: inline-block; border: 1px solid var(--_strong-line); border-radius: 999px; padding-inline: 0.6em; font-weight: 600; }
.head { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.25em 0.6em; margin-block-end: 0.25em; }
`;

type RosterView = Pick<VisitView, "me" | "host" | "locked" | "roster" | "waiting" | "phase">;

/** What the host is asked about someone before it happens. */
interface Confirming {
  participant: string;
  what: "remove" | "hand";
}

export class VisitRosterElement extends VisitElement {
  #view: RosterView | undefined;
  #confirming: Confirming | undefined;

  constructor() {
    super(css);
  }

  set view(view: RosterView) {
    this.#view = view;
    this.refresh();
  }

  protected override render(): void {
    const view = this.#view;
    if (!view) return;
    const { me, host, locked, roster, waiting, phase } = view;
    const alike = lookAlikes(roster);
    this.drawIfChanged([me, host, locked, roster, waiting, phase, this.#confirming, this.strings.roster], () => {
      replaceChildren(
        this.root,
        h(
          "div",
          { class: "stack" },
          me.host && this.#waiting(view),
          h(
            "section",
            { "aria-labelledby": "people", part: "people" },
            ...this.#head(view),
            h(
              "ul",
              { class: "list", role: "list", "data-testid": "roster" },
              ...roster.map((entry) => this.#entry(entry, view, alike.has(entry.participant))),
            ),
          ),
        ),
      );
    });
  }

  #entry(entry: RosterEntry, view: RosterView, isAlike: boolean): HTMLElement {
    const { roster: words, role } = this.strings;
    const name =
      entry.name ?? (entry.role === "recorder" || entry.role === "server" ? role[entry.role] : words.no_name);
    const note =
      entry.role === "recorder" ? words.recorder_note : entry.role === "server" ? words.server_note : undefined;
    const mayChange = view.me.host && !entry.is_me && entry.role !== "recorder";
    return h(
      "li",
      {
        class: `entry ${entry.role}${entry.connected ? "" : " away"}`,
        part: `entry entry-${entry.role}`,
        "data-testid": `member-${entry.participant}`,
        "data-role": entry.role,
      },
      icon(entry.role === "recorder" ? "recording" : entry.role === "server" ? "server" : "person"),
      h(
        "span",
        { class: "who" },
        h("bdi", { class: "name" }, name),
        entry.is_me && ` (${words.you})`,
        h("span", { class: "muted small" }, ` · ${role[entry.role]}`, !entry.connected && ` · ${words.away}`),
        isHost(entry, view) && [" ", h("span", { class: "badge small", part: "host" }, words.host)],
        note && h("span", { class: "small" }, h("br"), note),
        isAlike && h("span", { class: "small", part: "alike", "data-testid": "alike" }, h("br"), words.look_alike),
      ),
      mayChange && this.#changes(entry, name),
    );
  }

  /** The title, and whether the visit is locked. */
  #head({ me, locked }: RosterView): HTMLElement[] {
    const words = this.strings.roster;
    const button = h(
      "button",
      {
        type: "button",
        class: "compact",
        "data-testid": "lock-visit",
        onclick: () => this.emit("sv-lock", { locked: !locked }),
      },
      icon(locked ? "unlock" : "lock"),
      locked ? words.unlock : words.lock,
    );
    return [
      h("div", { class: "head" }, h("h3", { id: "people" }, words.title), me.host && button),
      h(
        "p",
        { class: "small", part: "lock", "data-testid": "lock-state", "data-locked": String(locked) },
        locked && [icon("lock"), ` ${words.locked}`],
      ),
    ];
  }

  /** The host's actions for a member; each needs a confirmation. */
  #changes({ participant, role, connected }: RosterEntry, name: string): HTMLElement {
    const words = this.strings.roster;
    const { what } = this.#confirming?.participant === participant ? this.#confirming : { what: undefined };
    const ask = (asked: Confirming["what"], label: string, named: string) =>
      h(
        "button",
        {
          type: "button",
          class: "compact",
          "aria-label": formatText(named, { who: name }),
          "data-testid": `${asked}-${participant}`,
          onclick: () => this.#confirm({ participant, what: asked }),
        },
        label,
      );
    if (what === undefined)
      return h(
        "span",
        { class: "actions" },
        role === "clinician" && connected && ask("hand", words.hand_over, words.hand_over_named),
        ask("remove", words.remove, words.remove_named),
      );
    const question = formatText(what === "remove" ? words.remove_confirm : words.hand_over_confirm, { who: name });
    const answer = (yes: boolean, look: string, label: string) =>
      h(
        "button",
        {
          type: "button",
          class: `compact ${look}`,
          "data-testid": `${what}-${yes ? "yes" : "no"}-${participant}`,
          onclick: () => {
            this.#confirm(undefined);
            if (yes) this.emit(what === "remove" ? "sv-remove" : "sv-hand-over", { participant });
          },
        },
        label,
      );
    return h(
      "span",
      { class: "question", role: "group", "aria-label": question },
      h("span", {}, question),
      h(
        "span",
        { class: "actions" },
        what === "remove" ? answer(true, "alert", words.remove_yes) : answer(true, "primary", words.hand_over_yes),
        answer(false, "", words.remove_no),
      ),
    );
  }

  #confirm(next: Confirming | undefined): void {
    const before = this.#confirming;
    this.#confirming = next;
    this.refresh();
    const focused = next ? `${next.what}-yes-${next.participant}` : `${before?.what}-${before?.participant}`;
    this.root.querySelector<HTMLElement>(`[data-testid="${CSS.escape(focused)}"]`)?.focus();
  }

  #waiting(view: RosterView): HTMLElement | false {
    const words = this.strings.roster;
    // A waiting recorder is let in by consent, never by the host's hand.
    const people = view.waiting.filter(({ role }) => role !== "recorder");
    if (people.length === 0) return false;
    const recorded = recorderInRoster(view);
    return h(
      "section",
      { class: "waiting stack", "aria-labelledby": "waiting", part: "waiting" },
      h("h3", { id: "waiting" }, words.waiting_title),
      recorded && h("p", { class: "small" }, words.stop_and_admit_why),
      view.locked && h("p", { class: "small" }, words.unlock_and_admit_why),
      h("ul", { class: "list", role: "list" }, ...people.map((entry, index) => this.#waitingEntry(entry, index, view))),
      // The recording's conditions for a newcomer come after that.
      recorded &&
        view.locked &&
        h(
          "button",
          { type: "button", "data-testid": "unlock-first", onclick: () => this.emit("sv-lock", { locked: false }) },
          words.unlock,
        ),
      !recorded &&
        !view.locked &&
        h(
          "button",
          { type: "button", "data-testid": "admit-all", onclick: () => this.emit("sv-admit-all", {}) },
          words.admit_all,
        ),
    );
  }

  #waitingEntry({ participant, role, asked, answer }: WaitingEntry, index: number, view: RosterView): HTMLElement {
    const words = this.strings.roster;
    const who = `${this.strings.role[role]} ${index + 1}`;
    const button: EntryButton = (testid, look, label, name, event) =>
      h(
        "button",
        {
          type: "button",
          class: `compact ${look}`,
          "aria-label": name,
          "data-testid": `${testid}-${participant}`,
          onclick: () => this.emit(event, { participant }),
        },
        label,
      );
    const refused = answer !== undefined && answer !== null && answer !== "grant";
    const told = !asked ? null : refused ? words.outside_refused : answer ? words.outside_agreed : words.outside_asked;
    return h(
      "li",
      { class: "entry", "data-testid": `waiting-${participant}`, "data-role": role },
      icon("person"),
      h(
        "span",
        { class: "who" },
        h("span", { class: "name" }, this.strings.role[role]),
        told !== null && h("span", { class: "small", role: "status" }, h("br"), told),
      ),
      h(
        "span",
        { class: "actions" },
        ...this.#admission(view, asked === true, refused, who, button),
        button("deny", "", words.deny, formatText(words.deny_named, { who }), "sv-deny"),
      ),
    );
  }

  /** How this person can be let in: by hand; after an unlocking; while recorded, after an answer or without the recorder. */
  #admission(view: RosterView, asked: boolean, refused: boolean, who: string, button: EntryButton): Child[] {
    const words = this.strings.roster;
    if (recorderInRoster(view)) {
      if (view.locked) return [];
      return [
        !refused && !asked && button("ask", "primary", words.ask, `${words.ask}: ${who}`, "sv-ask"),
        button("admit", "alert", words.stop_and_admit, `${words.stop_and_admit}: ${who}`, "sv-stop-and-admit"),
      ];
    }
    const { unlock_and_admit, admit, admit_named } = words;
    return view.locked
      ? [button("unlock-admit", "primary", unlock_and_admit, `${unlock_and_admit}: ${who}`, "sv-unlock-and-admit")]
      : [button("admit", "primary", admit, formatText(admit_named, { who }), "sv-admit")];
  }
}

type EntryButton = (testid: string, look: string, label: string, name: string, event: string) => HTMLElement;

/** The member that commits while every clinician is away is not a host. */
function isHost({ participant, role }: RosterEntry, { host }: RosterView): boolean {
  return host === participant && role === "clinician";
}
