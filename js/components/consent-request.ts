/**
 * `<consent-request>`: where the host states a purpose and asks everyone.
 *
 * Properties: `view` (the visit's state), `recipients` (the clinic document's, unretired), `rules` (what
 * the clinic configured for each purpose), `languages` (for the texts). Sends `sv-request` with a
 * `ConsentRequest`, or `sv-cancel`. Nothing is preselected.
 */
import { type ClinicRecipient, consentLanguages, consentTexts } from "../consent-texts/index.js";
import { consentCss } from "./consent-sheet.js";
import { h, replaceChildren } from "./dom.js";
import { formatDays, formatText } from "./format.js";
import { HostElement } from "./host-element.js";
import { recipientName } from "./strings/index.js";
import {
  CHECKLIST,
  type ChecklistItem,
  type ConsentRequest,
  needsAuthorization,
  type Purpose,
  type RecipientRole,
  type Terms,
  type VisitView,
  type WithdrawalPolicy,
} from "./view.js";

/** What a clinic configures for a purpose. */
export interface PurposeRule {
  purpose: Purpose;
  retention_days: number;
  /** Roles of the clinic document's recipients; each has to be there. */
  recipient_roles: readonly RecipientRole[];
  on_withdrawal: WithdrawalPolicy;
  processor_retention_days?: number;
  /** For a written authorization: days from today until it ends. */
  authorization_days?: number;
}

const DAY_MS = 86_400_000;

export class ConsentRequestElement extends HostElement {
  recipients: readonly ClinicRecipient[] = [];
  rules: readonly PurposeRule[] = [];
  languages: readonly string[] = consentLanguages;

  readonly #ticked = new Map<ChecklistItem, number>();
  readonly #details = h("div", { class: "stack" });
  readonly #error = h("p", { class: "error", role: "alert", "data-testid": "request-error" });
  #view: VisitView | undefined;
  #rule: PurposeRule | undefined;
  #reason = "";
  #part2 = false;
  #againReason = "";
  #emergency = "";
  #againAfter: string | undefined;

  constructor() {
    super(consentCss);
  }

  set view(view: VisitView) {
    this.#view = view;
    this.refresh();
  }

  /** Starts over: nothing is ticked, no purpose chosen. With `after` it is the second question. */
  open(after?: string): void {
    this.#ticked.clear();
    this.#rule = undefined;
    this.#reason = "";
    this.#againReason = "";
    this.#part2 = false;
    this.#againAfter = after;
    this.#draw();
    this.root.querySelector<HTMLElement>("h2")?.focus({ preventScroll: true });
    this.scrollIntoView({ block: "start" });
  }

  protected override render(): void {
    const { clinic } = this.#view ?? {};
    this.drawIfChanged([clinic, this.rules, this.recipients, this.hostStrings.request], () => this.#draw());
  }

  #draw(): void {
    const words = this.hostStrings.request;
    this.#error.textContent = "";
    replaceChildren(
      this.root,
      h(
        "form",
        {
          class: "panel stack form",
          novalidate: true,
          "aria-labelledby": "title",
          part: "panel",
          "data-testid": "request-form",
          onsubmit: (event) => this.#send(event),
        },
        h("h2", { id: "title", tabindex: "-1" }, words.title),
        h("p", {}, words.lead),
        this.#againAfter !== undefined &&
          this.#text(words.again_reason, "request-again-reason", (value) => {
            this.#againReason = value;
          }),
        this.#checklist(),
        this.#purposes(),
        this.#details,
        h(
          "label",
          { class: "option" },
          h("input", {
            type: "checkbox",
            "data-testid": "request-part2",
            checked: this.#part2,
            onchange: () => {
              this.#part2 = !this.#part2;
            },
          }),
          h("span", {}, words.part2),
        ),
        h(
          "div",
          { class: "send" },
          this.#error,
          h(
            "div",
            { class: "tiles" },
            h(
              "button",
              { type: "button", "data-testid": "request-cancel", onclick: () => this.emit("sv-cancel", {}) },
              words.cancel,
            ),
            h("button", { type: "submit", class: "primary", "data-testid": "request-consent" }, words.submit),
          ),
        ),
      ),
    );
    this.#drawDetails();
  }

  #checklist(): HTMLElement {
    const words = this.hostStrings.request;
    return h(
      "fieldset",
      { class: "question" },
      h("legend", {}, words.checklist),
      ...CHECKLIST.map((what) => [
        h(
          "label",
          { class: "option" },
          h("input", {
            type: "checkbox",
            "data-testid": `tick-${what}`,
            onchange: (event) => {
              if ((event.target as HTMLInputElement).checked) this.#ticked.set(what, Date.now());
              else this.#ticked.delete(what);
            },
          }),
          h("span", {}, words[what]),
        ),
        what === "emergency_place_known" && this.#emergencyField(),
      ]),
    );
  }

  #emergencyField(): HTMLElement {
    const words = this.hostStrings.request;
    const input = h("input", {
      type: "tel",
      maxlength: 60,
      autocomplete: "off",
      value: this.#emergency,
      "aria-describedby": "emergency-hint",
      "data-testid": "request-emergency",
      oninput: () => {
        this.#emergency = input.value;
      },
    });
    return h(
      "div",
      { class: "under" },
      h("label", { class: "field" }, h("span", {}, words.emergency), input),
      h("p", { id: "emergency-hint", class: "muted small" }, words.emergency_hint),
    );
  }

  #purposes(): HTMLElement {
    const { purpose_title } = this.strings;
    const { request, purpose_hint } = this.hostStrings;
    return h(
      "fieldset",
      { class: "question" },
      h("legend", {}, request.purpose),
      ...this.rules.map((rule) => {
        const missing = this.#missing(rule).length > 0;
        return h(
          "label",
          { class: "option" },
          h("input", {
            type: "radio",
            name: "purpose",
            value: rule.purpose,
            disabled: missing,
            "data-testid": `purpose-${rule.purpose}`,
            onchange: () => {
              this.#rule = rule;
              this.#drawDetails();
            },
          }),
          h(
            "span",
            {},
            h("strong", {}, purpose_title[rule.purpose]),
            h("span", { class: "muted small hint" }, missing ? request.recipients_none : purpose_hint[rule.purpose]),
          ),
        );
      }),
    );
  }

  #drawDetails(): void {
    const rule = this.#rule;
    const words = this.hostStrings.request;
    if (!rule) {
      replaceChildren(this.#details);
      return;
    }
    replaceChildren(
      this.#details,
      rule.purpose === "other" &&
        this.#text(words.other_text, "request-reason", (value) => {
          this.#reason = value;
        }),
      h(
        "div",
        { class: "facts" },
        h("h4", {}, words.recipients),
        h(
          "ul",
          {},
          ...this.#recipientsOf(rule).map(({ role, display_name }) =>
            h("li", {}, recipientName(role, this.strings) + (display_name ? ` (${display_name})` : "")),
          ),
        ),
        h("p", {}, formatText(words.until, { span: formatDays(rule.retention_days, this.language) })),
        h("p", {}, `${words.withdrawal}: ${words[`withdrawal_${rule.on_withdrawal}`]}.`),
      ),
    );
  }

  #text(label: string, testid: string, set: (value: string) => void): HTMLElement {
    const area = h("textarea", { rows: 2, maxlength: 300, "data-testid": testid, oninput: () => set(area.value) });
    return h("label", { class: "field" }, h("span", {}, label), area);
  }

  #missing(rule: PurposeRule): RecipientRole[] {
    return rule.recipient_roles.filter((role) => !this.recipients.some((recipient) => recipient.role === role));
  }

  /** Sorted by fingerprint, as the signed request needs them. */
  #recipientsOf(rule: PurposeRule): ClinicRecipient[] {
    return this.recipients
      .filter(({ role }) => rule.recipient_roles.includes(role))
      .toSorted((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1));
  }

  #send(event: Event): void {
    event.preventDefault();
    const words = this.hostStrings.request;
    const [rule, view] = [this.#rule, this.#view];
    const fault =
      this.#ticked.size < CHECKLIST.length
        ? words.incomplete_checklist
        : !rule || !view
          ? words.incomplete_purpose
          : (rule.purpose === "other" && !this.#reason.trim()) ||
              (this.#againAfter !== undefined && !this.#againReason.trim())
            ? words.incomplete_other
            : undefined;
    this.#error.textContent = fault ?? "";
    if (fault !== undefined || !rule || !view) return;
    this.emit<ConsentRequest>("sv-request", this.#request(rule, view));
  }

  #request(rule: PurposeRule, { clinic }: VisitView): ConsentRequest {
    const authorization = needsAuthorization(rule.purpose) || this.#part2;
    const terms: Terms = {
      retention_days: rule.retention_days,
      on_withdrawal: rule.on_withdrawal,
      part2: this.#part2,
      ...(rule.processor_retention_days !== undefined && { processor_retention_days: rule.processor_retention_days }),
      ...(authorization && { authorization_expires_ms: Date.now() + (rule.authorization_days ?? 365) * DAY_MS }),
    };
    const recipients = this.#recipientsOf(rule);
    const texts = consentTexts(
      {
        purpose: rule.purpose,
        clinic,
        recipients,
        terms,
        ...(rule.purpose === "other" && { reason: this.#reason }),
        ...(this.#againAfter !== undefined && { asked_again_because: this.#againReason }),
      },
      this.languages,
    );
    const note = [this.#againReason, rule.purpose === "other" ? this.#reason : ""]
      .map((words) => words.trim())
      .find(Boolean);
    return {
      purpose: rule.purpose,
      recipients: recipients.map(({ fingerprint, role }) => ({ fingerprint, role })),
      texts,
      terms,
      checklist: CHECKLIST.map((what) => ({ what, at_ms: this.#ticked.get(what) ?? Date.now() })),
      ...(this.#againAfter !== undefined && { again_after: this.#againAfter }),
      ...(note && { note }),
      ...(this.#emergency.trim() && { emergency: this.#emergency.trim() }),
    };
  }
}
