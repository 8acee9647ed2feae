/** The page that a person is left with. */
import type { VisitState } from "sealed-visit";
import { button, fill, h } from "./dom.js";
import { showPage } from "./frame.js";
import { afterWords } from "../strings/after.js";

/** After the visit: why it is over, the way to the visit record, and a way back for a person who left. */
export function showAfter({ end_reason }: Pick<VisitState, "end_reason">, comeBack?: () => void): void {
  showPage((page) => {
    const text = afterWords();
    fill(
      page,
      h(
        "section",
        { class: "card stack", "data-testid": "after" },
        h("h1", {}, text.title),
        h("p", {}, text[end_reason ?? "failed"]),
        h(
          "div",
          { class: "row" },
          h("a", { class: "button primary", href: "./record.html", "data-testid": "to-record" }, text.record),
          comeBack && button(text.back, { testid: "come-back", onclick: comeBack }),
          end_reason === "denied" && button(text.again, { testid: "ask-again", onclick: () => location.reload() }),
        ),
      ),
    );
    return text.title;
  });
}
