/**
 * `<visit-emergency>`: for clinicians, what to do when something happens: the call-back number, and where people say
 * that they are. The host confirms each place; that is evidence, and blocks nothing.
 *
 * Property `view`: the visit's state. Sends `sv-confirm-place` with `{ participant }`. Shows nothing while nothing is
 * known; what was known stays when the consent round is over.
 */
import { h, replaceChildren } from "./dom.js";
import { formatText } from "./format.js";
import { HostElement } from "./host-element.js";
import { icon } from "./icons.js";
import { nameOf } from "./names.js";
import { placeName } from "./places.js";
import type { ParticipantAnswer, VisitView } from "./view.js";

const css = `
.panel { display: grid; gap: 8px; border: 1px solid var(--_line); border-radius: var(--_radius); padding: 0.75em 1em; }
ul { list-style: none; padding: 0; display: grid; gap: 8px; }
li { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25em 0.6em; }
.said { flex: 1 1 9em; min-inline-size: 0; overflow-wrap: anywhere; }
.confirmed { color: var(--_good); }
a { color: var(--_accent); font-weight: 600; }
`;

type EmergencyView = Pick<VisitView, "me" | "roster" | "consent">;

/** What a telephone can be asked to dial. */
const DIALABLE = /^\+?[\d\s()./-]{5,}$/;

export class VisitEmergencyElement extends HostElement {
  #view: EmergencyView | undefined;
  #number = "";
  readonly #places = new Map<string, ParticipantAnswer>();

  constructor() {
    super(css);
  }

  set view(view: EmergencyView) {
    this.#view = view;
    const { consent } = view;
    if (consent?.emergency) this.#number = consent.emergency;
    for (const answer of consent?.by_participant ?? []) if (answer.place) this.#places.set(answer.participant, answer);
    this.refresh();
  }

  protected override render(): void {
    const view = this.#view;
    const isKnown = this.#number !== "" || this.#places.size > 0;
    this.hidden = view?.me.role !== "clinician" || !isKnown;
    if (!view || this.hidden) {
      replaceChildren(this.root);
      this.drawIfChanged(null, () => undefined);
      return;
    }
    const places = [...this.#places.values()];
    const open = view.consent?.by_participant.map(({ participant }) => participant) ?? [];
    this.drawIfChanged([this.#number, places, open, view.roster, view.me.host, this.hostStrings.emergency], () => {
      const words = this.hostStrings.emergency;
      replaceChildren(
        this.root,
        h(
          "section",
          { class: "panel", "aria-labelledby": "title", part: "emergency", "data-testid": "emergency" },
          h("h3", { id: "title" }, words.title),
          this.#number !== "" && h("p", { "data-testid": "emergency-number" }, this.#call()),
          h(
            "ul",
            { role: "list" },
            ...places.map((answer) => this.#place(answer, view, open.includes(answer.participant))),
          ),
        ),
      );
    });
  }

  /** The text around the number, and the number as a link to dial if it is a phone number. */
  #call(): (Node | string)[] {
    const number = this.#number;
    const shown = h("bdi", {}, number);
    const link = DIALABLE.test(number) ? h("a", { href: `tel:${number.replace(/[^+\d]/g, "")}` }, shown) : shown;
    const [before = "", after = ""] = this.hostStrings.emergency.call.split("{number}");
    return [before, link, after];
  }

  #place({ participant, place = "", place_confirmed }: ParticipantAnswer, view: EmergencyView, isOpen: boolean) {
    const words = this.hostStrings.emergency;
    const values = { who: nameOf(participant, view, this.strings), place: placeName(place, this.language) };
    return h(
      "li",
      { "data-testid": `place-${participant}` },
      h("span", { class: "said" }, formatText(words.says, values)),
      place_confirmed
        ? h("span", { class: "confirmed small", role: "status" }, icon("check"), ` ${words.confirmed}`)
        : view.me.host &&
            isOpen &&
            h(
              "button",
              {
                type: "button",
                class: "compact",
                "aria-label": formatText(words.confirm_named, values),
                "data-testid": `confirm-place-${participant}`,
                onclick: () => this.emit("sv-confirm-place", { participant }),
              },
              words.confirm,
            ),
    );
  }
}
