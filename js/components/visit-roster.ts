/**
 * `<visit-roster>`: who can see and hear this visit, and who waits to come in.
 *
 * Property `view`: the visit's state. The host gets buttons; they send `sv-admit`, `sv-deny`,
 * `sv-remove`, with `{ participant }`, and `sv-admit-all`; while a recorder is in the visit `sv-ask` (consent first) and
 * `sv-stop-and-admit`.
 */
import { h, replaceChildren } from "./dom.js";
import { VisitElement } from "./element.js";
import { formatText } from "./format.js";
import { icon } from "./icons.js";
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
`;

type RosterView = Pick<VisitView, "me" | "host" | "roster" | "waiting" | "phase">;

export class VisitRosterElement extends VisitElement {
  #view: RosterView | undefined;
  #confirming: string | undefined;

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
    const { me, host, roster, waiting, phase } = view;
    this.drawIfChanged([me, host, roster, waiting, phase, this.#confirming, this.strings.roster], () => {
      replaceChildren(
        this.root,
        h(
          "div",
          { class: "stack" },
          isHost(view) && this.#waiting(view),
          h(
            "section",
            { "aria-labelledby": "people", part: "people" },
            h("h3", { id: "people" }, this.strings.roster.title),
            h(
              "ul",
              { class: "list", role: "list", "data-testid": "roster" },
              ...roster.map((entry) => this.#entry(entry, view)),
            ),
          ),
        ),
      );
    });
  }

  #entry(entry: RosterEntry, view: RosterView): HTMLElement {
    const { roster: words, role } = this.strings;
    const name =
      entry.name ?? (entry.role === "recorder" || entry.role === "server" ? role[entry.role] : words.no_name);
    const note =
      entry.role === "recorder" ? words.recorder_note : entry.role === "server" ? words.server_note : undefined;
    const removable = isHost(view) && !entry.is_me && entry.role !== "recorder";
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
        h(
          "span",
          { class: "muted small" },
          ` · ${role[entry.role]}`,
          view.host === entry.participant && ` · ${words.host}`,
          !entry.connected && ` · ${words.away}`,
        ),
        note && h("span", { class: "small" }, h("br"), note),
      ),
      removable && this.#removal(entry, name),
    );
  }

  #removal({ participant }: RosterEntry, name: string): HTMLElement {
    const words = this.strings.roster;
    if (this.#confirming !== participant) {
      return h(
        "button",
        {
          type: "button",
          class: "compact",
          "aria-label": formatText(words.remove_named, { who: name }),
          "data-testid": `remove-${participant}`,
          onclick: () => this.#confirm(participant),
        },
        words.remove,
      );
    }
    return h(
      "span",
      { class: "actions", role: "group", "aria-label": formatText(words.remove_confirm, { who: name }) },
      h("span", {}, formatText(words.remove_confirm, { who: name })),
      h(
        "button",
        {
          type: "button",
          class: "compact alert",
          "data-testid": `remove-yes-${participant}`,
          onclick: () => {
            this.#confirm(undefined);
            this.emit("sv-remove", { participant });
          },
        },
        words.remove_yes,
      ),
      h(
        "button",
        {
          type: "button",
          class: "compact",
          "data-testid": `remove-no-${participant}`,
          onclick: () => this.#confirm(undefined),
        },
        words.remove_no,
      ),
    );
  }

  #confirm(participant: string | undefined): void {
    const before = this.#confirming;
    this.#confirming = participant;
    this.refresh();
    const next = participant ? `remove-yes-${participant}` : `remove-${before}`;
    this.root.querySelector<HTMLElement>(`[data-testid="${CSS.escape(next)}"]`)?.focus();
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
      h(
        "ul",
        { class: "list", role: "list" },
        ...people.map((entry, index) => this.#waitingEntry(entry, index, recorded)),
      ),
      !recorded &&
        h(
          "button",
          { type: "button", "data-testid": "admit-all", onclick: () => this.emit("sv-admit-all", {}) },
          words.admit_all,
        ),
    );
  }

  #waitingEntry({ participant, role, asked, answer }: WaitingEntry, index: number, recorded: boolean): HTMLElement {
    const words = this.strings.roster;
    const who = `${this.strings.role[role]} ${index + 1}`;
    const button = (testid: string, look: string, label: string, name: string, event: string) =>
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
        recorded
          ? [
              !refused && !asked && button("ask", "primary", words.ask, `${words.ask}: ${who}`, "sv-ask"),
              button("admit", "alert", words.stop_and_admit, `${words.stop_and_admit}: ${who}`, "sv-stop-and-admit"),
            ]
          : button("admit", "primary", words.admit, formatText(words.admit_named, { who }), "sv-admit"),
        button("deny", "", words.deny, formatText(words.deny_named, { who }), "sv-deny"),
      ),
    );
  }
}

function isHost({ me, host }: RosterView): boolean {
  return host === me.participant;
}
