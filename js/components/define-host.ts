import { ConsentRequestElement } from "./consent-request.js";
import { define } from "./define.js";
import { VisitEmergencyElement } from "./visit-emergency.js";

/** Registers `<consent-request>` and `<visit-emergency>`; one that is registered already is left alone. */
export function defineHostElements(): void {
  define({ "consent-request": ConsentRequestElement, "visit-emergency": VisitEmergencyElement });
}

declare global {
  interface HTMLElementTagNameMap {
    "consent-request": ConsentRequestElement;
    "visit-emergency": VisitEmergencyElement;
  }
}
