/**
 * The waiting room: says that nobody sees or hears this person yet, and asks for consent where a recording is under
 * way in the visit.
 */
import type { VisitState } from "sealed-visit";
import type { ConsentReply } from "sealed-visit/components";
import { language, words } from "../strings/index.js";
import type { CallVisit } from "./call.js";
import { button, fill, h } from "./dom.js";
import { reasonOf, showPage } from "./frame.js";

export interface WaitingRoomOptions {
  isHost: boolean;
  clinicName: string;
  /** Who signs at this device, by the visit's template. */
  signers?: string | undefined;
}

export class WaitingRoom {
  readonly #consent = h("visit-consent");
  readonly #lead = h("p");
  readonly #problem = h("p", { class: "error", role: "alert" });
  readonly #options: WaitingRoomOptions;
  #state: VisitState;

  constructor(visit: CallVisit, options: WaitingRoomOptions) {
    const { signers } = options;
    this.#options = options;
    this.#state = visit.state;
    if (signers !== undefined) this.#consent.setAttribute("signers", signers);
    this.#consent.addEventListener("sv-answer", (event) => {
      const { kind, ...answer } = (event as CustomEvent<ConsentReply>).detail;
      this.#problem.textContent = "";
      (kind === "grant" ? visit.grant(answer) : visit.refuse(answer)).catch((error: unknown) => {
        this.#problem.textContent = words().page.failed.replace("{why}", reasonOf(error));
      });
    });
    showPage((page) => {
      const text = words().waiting;
      fill(
        page,
        h(
          "section",
          { class: "card stack", role: "status", "data-testid": "waiting-room" },
          h("h1", {}, text.title),
          this.#lead,
          button(text.leave, { testid: "leave", onclick: () => void visit.leave() }),
        ),
        this.#consent,
        this.#problem,
      );
      this.update(this.#state);
      return text.title;
    });
  }

  #drawLead(): void {
    const text = words().waiting;
    const { isHost, clinicName } = this.#options;
    const { locked } = this.#state;
    const said = locked ? text.locked : isHost ? text.lead_host : text.lead;
    const lead = said.replace("{clinic}", clinicName);
    this.#lead.classList.toggle("notice", locked);
    if (this.#lead.textContent !== lead) this.#lead.textContent = lead;
  }

  update(state: VisitState): void {
    this.#state = state;
    this.#drawLead();
    if (this.#consent.lang === "") this.#consent.lang = language();
    this.#consent.view = state as never;
  }
}
