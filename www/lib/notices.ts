/** Short messages under the indicator: lasting ones by name, passing ones for a while. Screen readers announce them. */
import { fill, h } from "./dom.js";
import { words } from "../strings/index.js";

type Weight = "normal" | "serious";

/** Long enough to be read twice. */
const PASSING_MS = 12_000;

export class Notices {
  readonly element = h("div", {
    class: "notices",
    role: "status",
    "aria-live": "polite",
    "aria-atomic": "false",
    "data-testid": "notices",
  });

  readonly #shown = new Map<string, HTMLElement>();
  readonly #kept = new Map<string, HTMLElement>();

  /** Shows, changes, or removes the message with that name. */
  set(name: string, text: string | null, weight: Weight = "normal"): void {
    const present = this.#shown.get(name);
    if (text === null) {
      present?.remove();
      this.#shown.delete(name);
      return;
    }
    if (present) {
      if (present.textContent !== text) present.textContent = text;
      return;
    }
    const notice = h("p", { class: `notice small ${weight}`, "data-testid": `notice-${name}` }, text);
    this.#shown.set(name, notice);
    this.element.append(notice);
  }

  flash(text: string, weight: Weight = "normal"): void {
    const name = `passing-${text}`;
    this.set(name, text, weight);
    setTimeout(() => this.set(name, null), PASSING_MS);
  }

  /** Shows messages by id. Each stays until it is closed or no longer listed; a closed one stays closed. */
  keep(messages: readonly { id: string; text: string }[], weight: Weight): void {
    for (const [id, notice] of this.#kept) {
      if (messages.some((message) => message.id === id)) continue;
      notice.remove();
      this.#kept.delete(id);
    }
    for (const { id, text } of messages) if (!this.#kept.has(id)) this.#add(id, text, weight);
  }

  #add(id: string, text: string, weight: Weight): void {
    const close = h(
      "button",
      {
        type: "button",
        class: "compact",
        onclick: () => notice.remove(),
      },
      words().page.close,
    );
    const notice = h("div", { class: `notice row spread ${weight}`, "data-testid": `problem-${id.split("/")[0]}` });
    fill(notice, h("span", {}, text), close);
    this.#kept.set(id, notice);
    this.element.append(notice);
  }
}
