import { ConsentRequestElement } from "./consent-request.js";
import { DeviceCheckElement } from "./device-check.js";
import { RecordingIndicatorElement } from "./recording-indicator.js";
import { VisitConsentElement } from "./visit-consent.js";
import { VisitLabelElement } from "./visit-label.js";
import { VisitRosterElement } from "./visit-roster.js";

const elements = {
  "consent-request": ConsentRequestElement,
  "device-check": DeviceCheckElement,
  "recording-indicator": RecordingIndicatorElement,
  "visit-consent": VisitConsentElement,
  "visit-label": VisitLabelElement,
  "visit-roster": VisitRosterElement,
};

/** Registers the custom elements; those that are registered already are left alone. */
export function defineVisitElements(): void {
  for (const [name, element] of Object.entries(elements))
    if (!customElements.get(name)) customElements.define(name, element);
}

declare global {
  interface HTMLElementTagNameMap {
    "consent-request": ConsentRequestElement;
    "device-check": DeviceCheckElement;
    "recording-indicator": RecordingIndicatorElement;
    "visit-consent": VisitConsentElement;
    "visit-label": VisitLabelElement;
    "visit-roster": VisitRosterElement;
  }
}
