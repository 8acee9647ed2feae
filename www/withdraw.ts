/** Withdrawing after the visit, with a private link: no sign-in, no key; the statement was signed in the visit. */
import "./lib/fragment.js";
import { postWithdrawal, SealedVisitError } from "sealed-visit";
import { claimsOf, loadConfig } from "./lib/config.js";
import { button, fill, h } from "./lib/dom.js";
import { reasonOf, showPage } from "./lib/frame.js";
import { laterFromLocation } from "./lib/later.js";
import { language, words } from "./strings/index.js";
import { laterWords } from "./strings/later.js";

const later = laterFromLocation();
const outcome = h("p", { role: "status", "data-testid": "withdraw-outcome" });
let isDone = false;

showPage((main) => {
  const text = laterWords().withdraw;
  if (!later) {
    fill(main, h("h1", {}, text.title), h("p", { class: "notice", "data-testid": "no-link" }, text.no_link));
    return text.title;
  }
  const { statements, contact } = later;
  const [statement] = Object.values(statements);
  const { at_ms } = claimsOf(statement ?? "") as { at_ms: number };
  const buttons = h("div", { class: "stack" });
  const draw = () =>
    fill(
      buttons,
      !isDone &&
        (["delete", "keep"] as const)
          .filter((wish) => statements[wish] !== undefined)
          .map((wish) =>
            button(text[wish], {
              testid: `withdraw-later-${wish}`,
              class: "alert",
              onclick: async () => {
                outcome.textContent = text.sending;
                await withdraw(statements[wish] ?? "");
                draw();
              },
            }),
          ),
      outcome,
    );
  draw();
  fill(
    main,
    h("h1", {}, text.title),
    h(
      "section",
      { class: "card stack" },
      h("p", {}, text.lead.replace("{when}", new Intl.DateTimeFormat(language(), { dateStyle: "long" }).format(at_ms))),
      h("p", {}, text.limits),
      buttons,
    ),
    contact !== "" && h("p", { class: "notice" }, text.contact.replace("{contact}", contact)),
  );
  return text.title;
});

async function withdraw(statement: string): Promise<void> {
  const text = laterWords().withdraw;
  try {
    const { vault_url } = await loadConfig();
    const { deletion } = await postWithdrawal(vault_url, statement);
    isDone = true;
    outcome.textContent = { none: text.done, requested: text.deletion_requested, deleted: text.deleted }[deletion];
  } catch (error) {
    const refused = error instanceof SealedVisitError && error.code === "vault-refused";
    outcome.textContent = refused ? text.refused : words().page.failed.replace("{why}", reasonOf(error));
  }
}
