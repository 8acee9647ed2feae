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
  readonly #problem = h("p", { class: "error", role: "alert" });
  #state: VisitState;

  constructor(visit: CallVisit, { isHost, clinicName, signers }: WaitingRoomOptions) {
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
          h("p", {}, isHost ? text.lead_host : text.lead.replace("{clinic}", clinicName)),
          button(text.leave, { testid: "leave", onclick: () => void visit.leave() }),
        ),
        this.#consent,
        this.#problem,
      );
      this.update(this.#state);
      return text.title;
    });
  }

  update(state: VisitState): void {
    this.#state = state;
    if (this.#consent.lang === "") this.#consent.lang = language();
    this.#consent.view = state as never;
  }
}
