/**
 * What only a host needs: the form that asks for consent, and the texts that people then read.
 * `import { defineHostElements } from "sealed-visit/host"`, beside `sealed-visit/components`.
 */
export { ConsentRequestElement, type PurposeRule } from "./components/consent-request.js";
export { defineHostElements } from "./components/define-host.js";
export {
  type ClinicRecipient,
  type ConsentTextOptions,
  consentLanguages,
  consentTexts,
  type WrittenText,
} from "./consent-texts/index.js";
