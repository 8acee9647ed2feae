/**
 * Two questions of the consent form about languages: what to do when the texts are not in the person's, and, for an
 * interpreter, for whom the words were interpreted.
 */
import { h, replaceChildren } from "./dom.js";
import { type Strings, primary } from "./strings/index.js";
import type { ConsentRound, VisitView } from "./view.js";

/** Names come from the browser; signed languages are languages. */
const languageCodes =
  "en es zh yue vi tl ar ko ru ht fr pt de it pl uk ja hi ur bn pa gu ta te ne fa ps ku am ti om so sw ha yo ig rw my km lo th hmn id ms tr az uz kk mn ro bg sr hr bs sq el hu cs sk lt lv et fi sv da nb nl he hy ka qu nah mam ase";

interface SpokenOptions {
  strings: Strings;
  /** In which the form speaks. */
  language: string;
  /** That there are texts in. */
  shown: readonly string[];
  /** No text is in this language of the person's: it has to be said. */
  unshown: string | undefined;
}

/** "My language is not here": an interpreter has to sign too. */
export class SpokenQuestion {
  readonly element = h("div", { class: "stack" });
  #isAsked: boolean;
  #value = "";

  constructor({ strings: { consent: words }, language, shown, unshown }: SpokenOptions) {
    this.#isAsked = unshown !== undefined;
    const names = new Intl.DisplayNames(language, { type: "language" });
    const has = new Set(shown.map(primary));
    const known = languageCodes
      .split(" ")
      .filter((code) => !has.has(code))
      .map((code) => ({ code, name: names.of(code) ?? code }))
      .toSorted((one, other) => one.name.localeCompare(other.name, language));
    const own = known.find(({ code }) => code === primary(unshown ?? ""))?.code ?? "";
    this.#value = own;
    const select = h(
      "select",
      { "data-testid": "consent-spoken", onchange: () => (this.#value = select.value) },
      h("option", { value: "" }, words.capacity_choose),
      ...known.map(({ code, name }) =>
        h("option", { value: code, selected: code === own }, [name, nameInItself(code, name)].join("")),
      ),
    );
    const details = h("div", { class: "stack" });
    const draw = () =>
      replaceChildren(
        details,
        this.#isAsked && [
          h("label", { class: "field" }, h("span", {}, words.other_language_which), select),
          h("p", { class: "notice small", role: "note" }, words.other_language_why),
        ],
      );
    const tick = h("input", {
      type: "checkbox",
      "data-testid": "consent-other-language",
      onchange: () => {
        this.#isAsked = tick.checked;
        draw();
      },
    });
    replaceChildren(
      this.element,
      unshown === undefined && h("label", { class: "option" }, tick, h("span", {}, words.other_language)),
      details,
    );
    draw();
  }

  /** It was said that there is no text in the language, and not which one it is. */
  get isMissing(): boolean {
    return this.#isAsked && this.#value === "";
  }

  get value(): string {
    return this.#isAsked ? this.#value : "";
  }
}

/** "Tiếng Việt" beside "Vietnamese". */
function nameInItself(code: string, name: string): string {
  const own = new Intl.DisplayNames(code, { type: "language" }).of(code);
  return own === undefined || own === code || own === name ? "" : ` – ${own}`;
}

interface InterpretedOptions {
  strings: Strings;
  round: ConsentRound;
  view: Pick<VisitView, "roster">;
  /** Participants this interpreter has already signed for. */
  signed: ReadonlySet<string>;
}

/** The other participants an interpreter signs for. */
export class InterpretedQuestion {
  readonly element: HTMLElement;
  readonly #chosen: Set<string>;

  constructor({ strings: { consent: words, role: roles }, round, view, signed }: InterpretedOptions) {
    const people = view.roster.filter(
      ({ is_me, role }) => !is_me && !["recorder", "server", "interpreter"].includes(role),
    );
    const needed = new Set(round.interpreter_needed);
    this.#chosen = new Set(people.map(({ participant }) => participant).filter((who) => signed.has(who)));
    this.element = h(
      "fieldset",
      { class: "question", hidden: people.length === 0, "data-testid": "consent-interpreted" },
      h("legend", {}, words.interpreted),
      h("p", { class: "muted small" }, words.interpreted_hint),
      ...people.map(({ participant, name, role }) => {
        const tick = h("input", {
          type: "checkbox",
          checked: this.#chosen.has(participant),
          "data-testid": `consent-interpreted-${participant}`,
          onchange: () => {
            if (tick.checked) this.#chosen.add(participant);
            else this.#chosen.delete(participant);
          },
        });
        return h(
          "label",
          { class: "option" },
          tick,
          h(
            "span",
            {},
            h("bdi", {}, name ?? roles[role]),
            needed.has(participant) && h("strong", { class: "hint small" }, words.interpreted_needs),
          ),
        );
      }),
    );
  }

  get value(): string[] {
    return [...this.#chosen];
  }
}
