import { DeviceCheckElement } from "./device-check.js";
import { RecordingIndicatorElement } from "./recording-indicator.js";
import { VisitConsentElement } from "./visit-consent.js";
import { VisitLabelElement } from "./visit-label.js";
import { VisitRosterElement } from "./visit-roster.js";

const elements = {
  "device-check": DeviceCheckElement,
  "recording-indicator": RecordingIndicatorElement,
  "visit-consent": VisitConsentElement,
  "visit-label": VisitLabelElement,
  "visit-roster": VisitRosterElement,
};

/** Registers the custom elements; those that are registered already are left alone. */
export function defineVisitElements(): void {
  define(elements);
}

/** @internal */
export function define(named: Record<string, CustomElementConstructor>): void {
  for (const [name, element] of Object.entries(named))
    if (!customElements.get(name)) customElements.define(name, element);
}

declare global {
  interface HTMLElementTagNameMap {
    "device-check": DeviceCheckElement;
    "recording-indicator": RecordingIndicatorElement;
    "visit-consent": VisitConsentElement;
    "visit-label": VisitLabelElement;
    "visit-roster": VisitRosterElement;
  }
}
