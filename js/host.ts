/**
 * What only a host needs: the form that asks for consent, the texts that people then read, and what to do in an emergency.
 * `import { defineHostElements } from "sealed-visit/host"`, beside `sealed-visit/components`.
 */
export { ConsentRequestElement, type PurposeRule } from "./components/consent-request.js";
export { VisitEmergencyElement } from "./components/visit-emergency.js";
export { defineHostElements } from "./components/define-host.js";
export {
  type ClinicRecipient,
  type ConsentTextOptions,
  consentLanguages,
  consentTexts,
  type WrittenText,
} from "./consent-texts/index.js";
