/**
 * The form in which one device answers a consent round: two layers, decided separately, by each person.
 *
 * Nothing is preselected. One refusal is enough to send, at any time; agreeing needs every decision of every
 * person, and the whole text on the screen first.
 */
import { InterpretedQuestion, SpokenQuestion } from "./consent-language.js";
import { ConsentReading } from "./consent-reading.js";
import { h, prose, replaceChildren, uniqueId } from "./dom.js";
import { formatText } from "./format.js";
import { icon } from "./icons.js";
import { countries, statesOf } from "./places.js";
import type { Strings } from "./strings/index.js";
import type { ConsentAnswer, ConsentReply, ConsentRound, Layer, VisitView } from "./view.js";

/** Who signs at this device, as the visit's template says. */
export type Signers = "any" | "self" | "representative" | "both";

export interface ConsentFormOptions {
  round: ConsentRound;
  view: VisitView;
  strings: Strings;
  /** The language of the texts shown; the statement names it. */
  language: string;
  signers: Signers;
  /** The person's language, when no text is in it: an interpreter has to sign too. */
  unshown?: string | undefined;
  /** Participants this interpreter has already signed for. */
  signed: ReadonlySet<string>;
  onreply(reply: ConsentReply): void;
}

type Decision = "agree" | "refuse" | undefined;
type Behalf = "self" | "other" | "both";

const capacities = ["parent", "guardian", "proxy", "other"] as const;
const bases = ["parent_of_minor", "court_order", "power_of_attorney", "state_law"] as const;

export class ConsentForm {
  readonly element: HTMLFormElement;

  readonly #options: ConsentFormOptions;
  readonly #persons: string[] = ["self"];
  readonly #decisions = new Map<string, Decision>();
  readonly #others = h("div", { class: "stack" });
  readonly #behalfDetails = h("div", { class: "stack" });
  readonly #represented = h("div");
  readonly #error = h("p", { class: "error", role: "alert", "data-testid": "consent-error" });
  readonly #submit: HTMLButtonElement;
  readonly #reading: ConsentReading;
  readonly #unread = h("p", { id: "unread", class: "small", role: "status", "data-testid": "consent-unread" });
  readonly #showUnread: HTMLButtonElement;
  readonly #spoken: SpokenQuestion | null;
  readonly #interpreted: InterpretedQuestion | null;
  #peopleAnswered = false;
  #behalf: Behalf;
  #whom = "";
  #capacity = "";
  #basis = "";
  #place = "";
  #lastPerson = 1;

  constructor(options: ConsentFormOptions) {
    this.#options = options;
    this.#behalf = { any: "self", self: "self", representative: "other", both: "both" }[options.signers] as Behalf;
    const { strings, language, round, view, unshown, signed } = options;
    const shown = round.texts.map((text) => text.language);
    const interprets = view.me.role === "interpreter";
    // A person in the waiting room joins with the answer, which cannot wait for an interpreter's.
    const canWait = view.phase !== "waiting" && !interprets;
    this.#spoken = canWait ? new SpokenQuestion({ strings, language, shown, unshown }) : null;
    this.#interpreted = interprets ? new InterpretedQuestion({ strings, round, view, signed }) : null;
    this.#submit = h("button", { type: "submit", class: "primary", "data-testid": "consent-submit" });
    this.#showUnread = h(
      "button",
      {
        type: "button",
        class: "compact",
        "data-testid": "consent-show-unread",
        onclick: () => this.#reading.showNext(),
      },
      this.#words.unread_show,
    );
    this.element = h(
      "form",
      { class: "stack form", novalidate: true, onsubmit: (event) => this.#send(event) },
      this.#spoken?.element,
      this.#layer("information"),
      this.#layer("recording"),
      this.#interpreted?.element,
      this.#behalfQuestion(),
      this.#represented,
      this.#peopleQuestion(),
      this.#others,
      this.#placeQuestion(),
      h("p", { class: "muted small" }, this.#words.sign_hint),
      h("div", { class: "send" }, this.#unread, this.#showUnread, this.#error, this.#submit),
    );
    const texts = [...this.element.querySelectorAll<HTMLElement>(".text")];
    this.#reading = new ConsentReading(texts, () => this.#drawSubmit());
    this.#drawBehalf();
    this.#drawSubmit();
  }

  get #words(): Strings["consent"] {
    return this.#options.strings.consent;
  }

  // --- The two layers ---------------------------------------------------------------------------

  #layer(layer: Layer): HTMLElement {
    const text = this.#options.round.texts.find(
      (candidate) => candidate.layer === layer && candidate.language === this.#options.language,
    );
    const missing = !text || text.text === null;
    const title = layer === "information" ? this.#words.information_title : this.#words.recording_title;
    return h(
      "section",
      { class: "layer stack", part: `layer layer-${layer}`, "data-testid": `consent-${layer}` },
      h("h3", {}, title),
      missing
        ? h("p", { class: "notice", role: "note" }, this.#words.text_missing)
        : h(
            "div",
            { class: "text stack", lang: this.#options.language, "data-testid": `consent-${layer}-text` },
            ...prose(text.text ?? ""),
          ),
      this.#decide("self", layer, title, missing),
    );
  }

  /** Two tiles of the same size; a radio button covers each, so that a click anywhere decides. */
  #decide(person: string, layer: Layer, title: string, cannotAgree = false): HTMLElement {
    const name = uniqueId("decision");
    const prefix = person === "self" ? "consent" : `consent-${person}`;
    const tile = (value: "agree" | "refuse") =>
      h(
        "label",
        { class: "tile", part: "choice" },
        h("input", {
          type: "radio",
          name,
          value,
          disabled: value === "agree" && cannotAgree,
          "data-testid": `${prefix}-${layer}-${value}`,
          onchange: () => {
            this.#decisions.set(`${person}/${layer}`, value);
            this.#drawSubmit();
          },
        }),
        h("span", { class: "tile-face" }, icon(value === "agree" ? "check" : "cross"), this.#words[value]),
      );
    return h(
      "fieldset",
      { class: "decision" },
      h(
        "legend",
        { class: person === "self" ? "visually-hidden" : "small" },
        person === "self" ? `${title}: ${this.#words.decide}` : title,
      ),
      h("div", { class: "tiles" }, tile("agree"), tile("refuse")),
    );
  }

  // --- Who is in the room -----------------------------------------------------------------------

  #peopleQuestion(): HTMLElement {
    const choice = (value: boolean, label: string, testid: string) =>
      this.#radio("people", label, testid, () => {
        this.#peopleAnswered = true;
        if (value && this.#persons.length === 1) this.#addPerson();
        if (!value) this.#persons.length = 1;
        this.#drawOthers();
      });
    return h(
      "fieldset",
      { class: "question" },
      h("legend", {}, this.#words.people_title),
      h("p", { class: "muted small" }, this.#words.people_hint),
      choice(false, this.#words.people_none, "consent-people-none"),
      choice(true, this.#words.people_more, "consent-people-more"),
    );
  }

  #addPerson(): void {
    this.#lastPerson += 1;
    this.#persons.push(`person-${this.#lastPerson}`);
  }

  #drawOthers(): void {
    const others = this.#persons.slice(1);
    // Existing blocks stay, with their choices.
    const present = new Map(
      [...this.#others.children].map((child) => [(child as HTMLElement).dataset.person ?? "", child]),
    );
    for (const person of present.keys()) if (!others.includes(person)) this.#forget(person);
    const add = h(
      "button",
      {
        type: "button",
        "data-testid": "consent-add-person",
        onclick: () => {
          this.#addPerson();
          this.#drawOthers();
        },
      },
      this.#words.person_add,
    );
    replaceChildren(
      this.#others,
      ...others.map((person, index) => present.get(person) ?? this.#personBlock(person, index + 2)),
      others.length > 0 && add,
    );
    this.#drawSubmit();
  }

  #personBlock(person: string, number: number): HTMLElement {
    const words = this.#words;
    return h(
      "section",
      { class: "person stack", "data-person": person, "data-testid": `consent-${person}` },
      h("h4", {}, formatText(words.person_other, { number })),
      h("p", { class: "muted small" }, words.person_hint),
      this.#decide(person, "information", words.person_information),
      this.#decide(person, "recording", words.person_recording),
      h(
        "button",
        {
          type: "button",
          class: "compact",
          onclick: () => {
            this.#persons.splice(this.#persons.indexOf(person), 1);
            this.#drawOthers();
          },
        },
        formatText(words.person_remove, { number }),
      ),
    );
  }

  #forget(person: string): void {
    this.#decisions.delete(`${person}/information`);
    this.#decisions.delete(`${person}/recording`);
  }

  // --- For whom ---------------------------------------------------------------------------------

  #behalfQuestion(): HTMLElement {
    const words = this.#words;
    const allowed: Record<Signers, Behalf[]> = {
      any: ["self", "other", "both"],
      self: ["self"],
      representative: ["other"],
      both: ["both"],
    };
    const labels = { self: words.behalf_self, other: words.behalf_other, both: words.behalf_both };
    const offered = allowed[this.#options.signers];
    return h(
      "fieldset",
      { class: "question", hidden: offered.length === 1 && offered[0] === "self" },
      h("legend", {}, words.behalf_title),
      ...offered.map((behalf) =>
        this.#radio(
          "behalf",
          labels[behalf],
          `consent-behalf-${behalf}`,
          () => {
            this.#behalf = behalf;
            this.#drawBehalf();
          },
          behalf === this.#behalf,
        ),
      ),
      this.#behalfDetails,
    );
  }

  #drawBehalf(): void {
    const { strings, view } = this.#options;
    const words = strings.consent;
    const represents = this.#behalf !== "self";
    const whom = view.roster
      .filter(({ is_me, role }) => !is_me && role !== "recorder" && role !== "server")
      .map(({ participant, name, role }) => ({ value: participant, label: name ?? strings.role[role] }));
    replaceChildren(
      this.#behalfDetails,
      represents && [
        this.#select(
          words.behalf_whom,
          "consent-whom",
          [{ value: "", label: words.behalf_whom_absent }, ...whom],
          (value) => {
            this.#whom = value;
          },
        ),
        this.#select(
          words.capacity,
          "consent-capacity",
          [
            { value: "", label: words.capacity_choose },
            ...capacities.map((code) => ({ value: code, label: words[`capacity_${code}`] })),
          ],
          (value) => {
            this.#capacity = value;
          },
        ),
        this.#select(
          words.basis,
          "consent-basis",
          [
            { value: "", label: words.capacity_choose },
            ...bases.map((code) => ({ value: code, label: words[`basis_${code}`] })),
          ],
          (value) => {
            this.#basis = value;
          },
        ),
      ],
    );
    this.#forget("represented");
    replaceChildren(
      this.#represented,
      this.#behalf === "both" &&
        h(
          "section",
          { class: "person stack", "data-testid": "consent-represented" },
          h("h4", {}, words.behalf_other),
          this.#decide("represented", "information", words.person_information),
          this.#decide("represented", "recording", words.person_recording),
        ),
    );
    this.#drawSubmit();
  }

  // --- Where ------------------------------------------------------------------------------------

  #placeQuestion(): HTMLElement {
    const words = this.#words;
    const state = h("div");
    const country = this.#select(
      words.place_country,
      "consent-country",
      [
        { value: "", label: words.place_none },
        ...countries(this.#options.language).map(({ code, name }) => ({ value: code, label: name })),
      ],
      (value) => {
        this.#place = value;
        const states = statesOf(value).map(({ code, name }) => ({ value: code, label: name }));
        replaceChildren(
          state,
          states.length > 0 &&
            this.#select(
              words.place_state,
              "consent-state",
              [{ value: "US", label: words.capacity_choose }, ...states],
              (code) => {
                this.#place = code;
              },
            ),
        );
      },
    );
    return h(
      "fieldset",
      { class: "question" },
      h("legend", {}, words.place_title),
      h("p", { class: "muted small" }, words.place_hint),
      h("div", { class: "pair" }, country, state),
    );
  }

  // --- Sending ----------------------------------------------------------------------------------

  /** The persons whose decisions this answer carries. */
  get #signing(): string[] {
    return this.#behalf === "both" ? [...this.#persons, "represented"] : this.#persons;
  }

  get #isTextMissing(): boolean {
    return this.element.querySelectorAll(".text").length < 2;
  }

  get #all(): Decision[] {
    return this.#signing.flatMap((person) => [
      this.#decisions.get(`${person}/information`),
      this.#decisions.get(`${person}/recording`),
    ]);
  }

  #drawSubmit(): void {
    const words = this.#words;
    const refuses = this.#all.includes("refuse");
    const agrees = this.#all.every((decision) => decision === "agree");
    this.#submit.textContent = refuses ? words.submit_refusal : agrees ? words.submit_grant : words.submit;
    const isUnread = !this.#reading.isComplete && !refuses;
    this.#unread.textContent = isUnread ? words.unread : refuses || this.#isTextMissing ? "" : words.read;
    this.#showUnread.hidden = !isUnread;
    // Not `disabled`: the button keeps the focus, and says why it does nothing yet.
    this.#submit.setAttribute("aria-disabled", String(isUnread && agrees && this.#peopleAnswered));
    if (isUnread) this.#submit.setAttribute("aria-describedby", this.#unread.id);
    else this.#submit.removeAttribute("aria-describedby");
    this.#error.textContent = "";
  }

  #send(event: Event): void {
    event.preventDefault();
    if (this.#all.includes("refuse")) {
      this.#reply("refusal");
      return;
    }
    const undecided = this.#all.includes(undefined) || !this.#peopleAnswered;
    const unstated = this.#behalf !== "self" && (this.#capacity === "" || this.#basis === "");
    if (undecided || unstated || this.#spoken?.isMissing) {
      const { incomplete_behalf, other_language_choose } = this.#words;
      this.#error.textContent = undecided
        ? this.#missingDecision
        : unstated
          ? incomplete_behalf
          : other_language_choose;
      return;
    }
    if (!this.#reading.isComplete) {
      this.#error.textContent = this.#words.unread;
      return;
    }
    this.#reply("grant");
  }

  get #missingDecision(): string {
    return this.#all.includes(undefined) ? this.#words.incomplete : this.#words.people_title;
  }

  #reply(kind: ConsentReply["kind"]): void {
    const answers = this.#signing.map((person): ConsentAnswer => {
      const represented = person === "represented" || (person === "self" && this.#behalf === "other");
      return {
        person,
        on_behalf_of: represented
          ? {
              kind: "represented",
              ...(this.#whom && { whom: this.#whom }),
              capacity: this.#capacity,
              basis: this.#basis,
            }
          : { kind: "myself" },
        information: this.#decisions.get(`${person}/information`) === "agree",
        recording: this.#decisions.get(`${person}/recording`) === "agree",
      };
    });
    this.#options.onreply({
      kind,
      answers,
      language: this.#options.language,
      place: this.#place,
      spoken: this.#spoken?.value ?? "",
      interpreted_for: this.#interpreted?.value ?? [],
    });
  }

  // --- Controls ---------------------------------------------------------------------------------

  #radio(name: string, label: string, testid: string, onchange: () => void, checked = false): HTMLElement {
    return h(
      "label",
      { class: "option" },
      h("input", { type: "radio", name, checked, "data-testid": testid, onchange }),
      h("span", {}, label),
    );
  }

  #select(
    label: string,
    testid: string,
    options: { value: string; label: string }[],
    onchange: (value: string) => void,
  ): HTMLElement {
    const select = h(
      "select",
      { "data-testid": testid, onchange: () => onchange(select.value) },
      ...options.map((option) => h("option", { value: option.value }, option.label)),
    );
    return h("label", { class: "field" }, h("span", {}, label), select);
  }
}
