/**
 * Host: the links of this visit. Who came, who is locked out and why, and what helps: letting one browser in, a new link,
 * another try at the passcode. What anybody of the clinic did is told as it happens.
 */
import { formatTime, icon, stringsFor } from "sealed-visit/components";
import type { VisitState } from "sealed-visit";
import { language, words } from "../strings/index.js";
import { invitationWords } from "../strings/invitations.js";
import { copyButton } from "./copy.js";
import { ask } from "./dialogs.js";
import { button, type Child, fill, h } from "./dom.js";
import type { Invited, LinkHelp, Overview } from "./link.js";
import type { Notices } from "./notices.js";

export class Invitations {
  readonly element = h("details", { class: "card invitations", "data-testid": "invitations" });

  readonly #help: LinkHelp;
  readonly #state: () => VisitState;
  readonly #notices: Notices;
  #overview: Overview | undefined;
  #drawn = "";
  /** New links, by participant: shown until the page closes, for this server does not know them any more. */
  readonly #links = new Map<string, string>();

  constructor(help: LinkHelp, state: () => VisitState, notices: Notices) {
    this.#help = help;
    this.#state = state;
    this.#notices = notices;
    window.addEventListener("sv-page-language", () => this.#draw());
  }

  update(overview: Overview): void {
    const before = this.#overview;
    this.#overview = overview;
    if (before) this.#tellWhatWasDone(before, overview);
    this.#draw();
    this.#drawNotices(overview);
  }

  #tellWhatWasDone(before: Overview, { participants }: Overview): void {
    const text = invitationWords();
    for (const invited of participants) {
      const known = before.participants.find(({ participant }) => participant === invited.participant)?.help ?? [];
      const isNew = (done: Invited["help"][number]) =>
        !known.some(({ what, at_ms }) => what === done.what && at_ms === done.at_ms);
      for (const { what, by } of invited.help.filter(isNew)) {
        const told = text[`done_${what}`].replace("{who}", this.#nameOf(invited));
        this.#notices.flash(by === "scheduler" ? `${told} ${text.by_scheduler}` : told);
      }
    }
  }

  #drawNotices({ participants }: Overview): void {
    const text = invitationWords();
    const told = (name: string, said: string, who: readonly Invited[]) =>
      this.#notices.set(name, who.length > 0 ? said.replace("{who}", this.#namesOf(who)) : null, "serious");
    told(
      "second-browser",
      text.attention_browser,
      participants.filter(({ browsers }) => browsers.some(({ approved }) => !approved)),
    );
    told(
      "link-locked",
      text.attention_passcode,
      participants.filter(({ locked }) => locked),
    );
    told(
      "turned-away",
      text.attention_away,
      participants.filter(({ turned_away }) => turned_away),
    );
  }

  /** As the others know this person, once in the visit; and the role, which the clinic gave. */
  #nameOf({ participant, role }: Invited): string {
    const roles = stringsFor(language()).role as Record<string, string>;
    const shown = roles[role] ?? role;
    const name = this.#state().roster.find((entry) => entry.participant === participant)?.name;
    return name ? `${name} (${shown})` : shown;
  }

  #namesOf(invited: readonly Invited[]): string {
    return new Intl.ListFormat(language()).format(new Set(invited.map((entry) => this.#nameOf(entry))));
  }

  #draw(): void {
    const { roster } = this.#state();
    const drawn = JSON.stringify([this.#overview, language(), [...this.#links], roster.map(({ name }) => name)]);
    if (!this.#overview || drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.testid;
    fill(
      this.element,
      h("summary", {}, icon("lock"), ` ${invitationWords().title}`),
      h("ul", { class: "plain stack" }, ...this.#overview.participants.map((invited) => this.#entry(invited))),
    );
    if (focused) this.element.querySelector<HTMLElement>(`[data-testid="${CSS.escape(focused)}"]`)?.focus();
  }

  #entry(invited: Invited): HTMLElement {
    const text = invitationWords();
    const { participant, role, redeemed, locked, browsers, turned_away } = invited;
    const who = this.#nameOf(invited);
    const isMe = participant === this.#state().me.participant;
    const url = this.#links.get(participant);
    const said = (line: string) => h("p", { class: "small" }, line);
    const named = (label: string, testid: string, onclick: () => void) => {
      const made = button(label, { testid: `${testid}-${participant}`, class: "compact", onclick });
      made.setAttribute("aria-label", `${label}: ${who}`);
      return made;
    };
    return h(
      "li",
      { class: "stack", "data-testid": `invited-${participant}`, "data-role": role },
      h("strong", {}, h("bdi", {}, who)),
      said(redeemed ? text.came : text.not_yet),
      turned_away && said(text.turned_away),
      locked && [
        said(text.passcode_locked),
        named(text.unlock, "unlock-passcode", () => void this.#try(() => this.#help.unlockPasscode(participant))),
      ],
      ...browsers.map(({ code, at_ms, approved }): Child => {
        if (approved) return said(text.approved.replace("{code}", code));
        const line = text.browser.replace("{time}", formatTime(at_ms, language())).replace("{code}", code);
        return [said(line), named(text.approve, `approve-${code}`, () => void this.#approve(who, participant, code))];
      }),
      url !== undefined && this.#linkOf(who, url),
      !isMe &&
        (role === "clinician"
          ? said(text.scheduler_only)
          : named(text.new_link, "new-link", () => void this.#renew(who, invited))),
    );
  }

  #linkOf(who: string, url: string): HTMLElement {
    const text = invitationWords();
    const shown = h("input", { readonly: true, value: url, "aria-label": text.link, "data-testid": "new-link-url" });
    const { copy: label, copied: done } = words().page;
    return h(
      "div",
      { class: "stack" },
      shown,
      h("div", { class: "row" }, copyButton({ testid: "new-link-copy", text: url, label, done, shown })),
      h("p", { class: "small muted" }, text.send.replace("{who}", who)),
    );
  }

  async #approve(who: string, participant: string, code: string): Promise<void> {
    const text = invitationWords();
    const lines = [text.ask_approve_1.replaceAll("{code}", code), text.ask_approve_2];
    const yes = await this.#ask(who, text.ask_approve.replace("{code}", code), lines, text.ask_approve_yes);
    if (yes) await this.#try(() => this.#help.approve(participant, code));
  }

  async #renew(who: string, invited: Invited): Promise<void> {
    const text = invitationWords();
    if (!(await this.#ask(who, text.ask_link, [text.ask_link_1], text.ask_link_yes))) return;
    await this.#try(async () => {
      this.#links.set(invited.participant, await this.#help.newLink(invited));
    });
    this.element.querySelector<HTMLElement>('[data-testid="new-link-url"]')?.focus();
  }

  #ask(who: string, title: string, lines: readonly string[], yes: string): Promise<boolean> {
    const named = (text: string) => text.replace("{who}", who);
    return ask(
      "help-dialog",
      (close: (yes: boolean) => void) =>
        h(
          "div",
          { class: "stack" },
          h("h2", { id: "help-dialog-title", tabindex: "-1" }, named(title)),
          ...lines.map((line) => h("p", {}, named(line))),
          h(
            "div",
            { class: "row" },
            button(invitationWords().cancel, { testid: "help-no", onclick: () => close(false) }),
            button(yes, { testid: "help-yes", class: "primary", onclick: () => close(true) }),
          ),
        ),
      false,
    );
  }

  /** What came of it is in the next look. */
  async #try(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
      this.update(await this.#help.look());
    } catch {
      this.#notices.flash(invitationWords().failed, "serious");
    }
  }
}
