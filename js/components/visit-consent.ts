/**
 * `<visit-consent>`: asks one device for its answer to the open consent round, then says how it stands.
 *
 * Property `view`: the visit's state. Attribute `signers`: `any` (default), `self`, `representative`,
 * `both`, from the visit's template. Sends `sv-answer` with a `ConsentReply`, and `sv-language` when the
 * person picks another language. Shows nothing while no round is open.
 *
 * It decides nothing: an answer that the core does not accept changes nothing.
 */
import type { Signers } from "./consent-form.js";
import { consentCss } from "./consent-sheet.js";
import { h, replaceChildren } from "./dom.js";
import { VisitElement } from "./element.js";
import { formatList, formatText } from "./format.js";
import { icon } from "./icons.js";
import { hostOf, nameOf } from "./names.js";
import { primary } from "./strings/index.js";
import { mustAnswer, mustInterpret, recorderInRoster } from "./view.js";
import type { ConsentReply, ConsentRound, VisitView } from "./view.js";

type PanelCode = typeof import("./consent-panel.js");

const RETRY_MS = 3_000;

/** Of all elements on a page; null until someone is in a visit, or is asked. */
let panelCode: PanelCode | null = null;

export class VisitConsentElement extends VisitElement {
  static override readonly observedAttributes = ["lang", "signers"];

  readonly #status = h("div", { role: "status", "data-testid": "consent-status" });
  readonly #prompt = h("div");
  #view: VisitView | undefined;
  #askedRound: string | undefined;
  #isLoading = false;
  /** Participants this interpreter signed for in the round, as far as this page knows. */
  #signed: { round: string; people: Set<string> } | undefined;

  constructor() {
    super(consentCss);
    this.root.append(this.#status, this.#prompt);
  }

  set view(view: VisitView) {
    this.#view = view;
    // Ahead of the question, while nobody waits for it.
    if (view.phase === "live") this.#load();
    this.refresh();
  }

  /** Whether the person has still to answer. */
  get asking(): boolean {
    return !!this.#view && mustAnswer(this.#view);
  }

  protected override render(): void {
    const view = this.#view;
    const round = view?.consent ?? null;
    // What was agreed is under way: the indicator says so.
    const done = !!view && !!round?.my_answer && recorderInRoster(view);
    this.hidden = round === null || done;
    if (!view || !round || done) {
      this.#askedRound = undefined;
      replaceChildren(this.#prompt);
      replaceChildren(this.#status);
      this.drawIfChanged(null, () => undefined);
      return;
    }
    if (mustAnswer(view)) this.#ask(round, view);
    else this.#tell(round, view);
  }

  #ask(round: ConsentRound, view: VisitView): void {
    if (!panelCode) {
      this.#load();
      return;
    }
    const code = panelCode;
    // Other people come, go and answer while someone reads: that must not rebuild the form.
    const { answered: _answered, by_participant: _by, interpreter_needed: needed, emergency: _, ...asked } = round;
    const again = mustInterpret(view) && needed;
    this.drawIfChanged(
      [
        asked,
        again,
        hostOf(round, view, this.strings),
        isOutside(view),
        view.clinic,
        this.getAttribute("signers"),
        this.strings.consent,
      ],
      () => {
        replaceChildren(this.#status);
        replaceChildren(this.#prompt, this.#panel(round, view, code));
        const question = again ? `${round.round} ${again.join()}` : round.round;
        if (this.#askedRound === question) return;
        this.#askedRound = question;
        this.root.querySelector<HTMLElement>("h2")?.focus({ preventScroll: true });
        this.scrollIntoView({ block: "start" });
      },
    );
  }

  /** Without the form nobody can agree. Trying goes on for as long as someone is to be asked. */
  #load(): void {
    if (panelCode || this.#isLoading) return;
    this.#isLoading = true;
    import("./consent-panel.js").then(
      (code) => {
        panelCode = code;
        this.#isLoading = false;
        this.refresh();
      },
      () => {
        setTimeout(() => {
          this.#isLoading = false;
          this.refresh();
        }, RETRY_MS);
        if (this.asking) {
          const notice = h(
            "p",
            { class: "notice", "data-testid": "consent-not-loaded" },
            this.strings.consent.not_loaded,
          );
          replaceChildren(this.#status, notice);
        }
      },
    );
  }

  #panel(round: ConsentRound, view: VisitView, { ConsentForm, consentFacts }: PanelCode): HTMLElement {
    const words = this.strings.consent;
    const languages = [...new Set(round.texts.map(({ language }) => language))];
    const language = languages.find((candidate) => primary(candidate) === primary(this.language));
    const isHost = round.host === view.me.participant;
    const lead = isHost ? words.lead_host : isOutside(view) ? words.lead_outside : words.lead;
    const names = (round.interpreter_needed ?? []).map((who) => nameOf(who, view, this.strings));
    const again = formatText(words.interpreter_again, { who: formatList(names, this.language) });
    if (this.#signed?.round !== round.round) this.#signed = { round: round.round, people: new Set() };
    const { people: signed } = this.#signed;
    const waits = isOutside(view) || view.me.role === "interpreter";
    return h(
      "section",
      {
        class: "panel stack",
        role: "dialog",
        "aria-labelledby": "title",
        part: "panel",
        "data-testid": "consent-prompt",
      },
      h("h2", { id: "title", tabindex: "-1" }, words.title),
      mustInterpret(view)
        ? h("p", { class: "notice", "data-testid": "interpreter-again" }, again)
        : h("p", {}, formatText(lead, { host: hostOf(round, view, this.strings) })),
      round.asked_again && h("p", { class: "notice" }, words.again),
      round.terms.part2 && h("p", { class: "notice" }, words.part2),
      this.#languages(languages, language),
      language === undefined && h("p", { class: "notice" }, words.no_language),
      consentFacts(round, view, this.strings, this.language),
      new ConsentForm({
        round,
        view,
        strings: this.strings,
        // With an interpreter the words are those of another language.
        language: language ?? (waits ? "" : (languages[0] ?? "")),
        unshown: language === undefined ? this.language : undefined,
        signers: (this.getAttribute("signers") as Signers | null) ?? "any",
        signed,
        onreply: (reply) => {
          if (reply.kind === "grant") for (const who of reply.interpreted_for) signed.add(who);
          this.emit<ConsentReply>("sv-answer", reply);
        },
      }).element,
    );
  }

  #languages(languages: readonly string[], shown: string | undefined): HTMLElement | false {
    if (languages.length < 2 && shown !== undefined) return false;
    const pick = (language: string) => {
      this.lang = language;
      this.emit("sv-language", { language });
    };
    return h(
      "div",
      { class: "row languages", role: "group", "aria-label": this.strings.consent.language },
      ...languages.map((language) =>
        h(
          "button",
          {
            type: "button",
            class: "compact",
            lang: language,
            "aria-pressed": language === shown ? "true" : "false",
            "data-testid": `consent-language-${language}`,
            onclick: () => pick(language),
          },
          new Intl.DisplayNames(language, { type: "language" }).of(language) ?? language,
        ),
      ),
    );
  }

  #tell(round: ConsentRound, view: VisitView): void {
    const words = this.strings.consent;
    this.drawIfChanged([round, view.roster, isOutside(view), words], () => {
      replaceChildren(this.#prompt);
      const mine = round.my_answer === "grant" ? words.answered_grant : round.my_answer ? words.answered_refusal : "";
      const agreed = round.all_agreed || (isOutside(view) && round.my_answer === "grant");
      const all = isOutside(view)
        ? agreed
          ? words.outside_grant
          : words.outside_refusal
        : round.someone_refused
          ? words.not_everyone
          : round.all_agreed
            ? words.all_agreed
            : round.answered >= round.asked
              ? words.interpreter_missing
              : formatText(words.waiting_others, { answered: round.answered, asked: round.asked });
      replaceChildren(
        this.#status,
        h(
          "div",
          {
            class: "panel stack",
            part: "status",
            "data-outcome": round.someone_refused ? "refused" : agreed ? "agreed" : "open",
          },
          h("p", {}, icon(round.someone_refused ? "cross" : agreed ? "check" : "clock"), ` ${mine} ${all}`),
          this.#answers(round, view),
          this.#interpreters(round, view),
        ),
      );
    });
  }

  /** Participants who still need an interpreter's signature; the core names them only to the host and interpreters. */
  #interpreters({ interpreter_needed: needed = [] }: ConsentRound, view: VisitView): (HTMLElement | false)[] {
    const words = this.strings.consent;
    const hasOne = view.roster.some(({ role }) => role === "interpreter");
    return [
      needed.length > 0 &&
        h(
          "ul",
          { class: "small", "data-testid": "interpreter-needed" },
          ...needed.map((who) =>
            h("li", {}, formatText(words.interpreter_for, { who: nameOf(who, view, this.strings) })),
          ),
        ),
      needed.length > 0 && !hasOne && h("p", { class: "notice small" }, words.interpreter_none),
    ];
  }

  /** The host may see who answered what; the core fills the list for nobody else. */
  #answers(round: ConsentRound, view: VisitView): HTMLElement | false {
    if (!view.me.host) return false;
    const words = this.strings.consent;
    const said = { grant: words.answer_grant, refusal: words.answer_refusal, withdrawal: words.answer_refusal };
    const answers = new Map(round.by_participant.map(({ participant, answer }) => [participant, answer]));
    const asked = view.roster.filter(({ role }) => role !== "recorder");
    return h(
      "ul",
      { class: "small", "aria-label": words.host_answers, "data-testid": "consent-answers" },
      ...asked.map(({ participant }) => {
        const answer = answers.get(participant);
        const word = answer ? said[answer] : words.answer_none;
        return h("li", {}, h("bdi", {}, nameOf(participant, view, this.strings)), `: ${word}`);
      }),
    );
  }
}

/** Asked in the waiting room: the others are recorded already. */
function isOutside({ phase }: VisitView): boolean {
  return phase === "waiting";
}
