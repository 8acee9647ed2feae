/** What the consent prompt needs only when there is something to ask: a chunk of its own. */
export { consentFacts } from "./consent-facts.js";
export { ConsentForm } from "./consent-form.js";
