import { ConsentRequestElement } from "./consent-request.js";
import { define } from "./define.js";

/** Registers `<consent-request>`; one that is registered already is left alone. */
export function defineHostElements(): void {
  define({ "consent-request": ConsentRequestElement });
}

declare global {
  interface HTMLElementTagNameMap {
    "consent-request": ConsentRequestElement;
  }
}
