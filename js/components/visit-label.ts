/**
 * `<visit-label>`: the honest label. It is computed from the roster alone, and comes with the list it
 * speaks of.
 *
 * Property `view`: the visit's state.
 */
import { h, replaceChildren } from "./dom.js";
import { VisitElement } from "./element.js";
import { icon } from "./icons.js";
import type { VisitView } from "./view.js";

const css = `
.label { display: flex; align-items: flex-start; gap: 0.6em; }
.label.server_present { background: var(--_notice); border: 2px dashed var(--_alert); border-radius: var(--_radius); padding: 0.5em 0.75em; font-weight: 600; }
.label.end_to_end .icon { color: var(--_good); }
.icon { margin-block-start: 0.15em; }
`;

export class VisitLabelElement extends VisitElement {
  readonly #words = h("span", { role: "status", part: "text" });
  readonly #shape = h("span");
  readonly #label = h("div", { class: "label", part: "label", "data-testid": "label" }, this.#shape, this.#words);
  #kind: VisitView["label"]["kind"] | undefined;

  constructor() {
    super(css);
    this.root.append(this.#label);
  }

  set view(view: Pick<VisitView, "label">) {
    this.#kind = view.label.kind;
    this.refresh();
  }

  protected override render(): void {
    const kind = this.#kind;
    this.hidden = kind === undefined;
    if (kind === undefined) return;
    this.drawIfChanged([kind, this.strings.label], () => {
      this.#label.className = `label ${kind}`;
      this.#label.dataset.kind = kind;
      replaceChildren(this.#shape, icon(kind === "end_to_end" ? "lock" : "server"));
      this.#words.textContent = this.strings.label[kind];
    });
  }
}
