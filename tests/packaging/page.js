/**
 * A user's page, the shortest that needs page, worker and WebAssembly: it tries to join a clinic
 * whose document is not signed by the pinned key. The core, in WebAssembly, refuses it.
 */
import { errorCodes, joinVisit, SealedVisitError, support } from "sealed-visit";

globalThis.outcome = await tryToJoin();

async function tryToJoin() {
  const { visit } = await support();
  try {
    await joinVisit({
      relayUrl: new URL("/relay", location.href).href.replace(/^http/, "ws"),
      rootKey: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
      clinicDocument: "eyJhbGciOiJFZERTQSJ9.e30.AAAA",
      displayName: "Visitor",
      getPass: async () => "eyJhbGciOiJFZERTQSJ9.e30.AAAA",
    });
    return { visitSupport: visit };
  } catch (error) {
    return {
      visitSupport: visit,
      isSealedVisitError: error instanceof SealedVisitError,
      code: error.code,
      knownCode: errorCodes.includes(error.code),
      message: String(error.message),
    };
  }
}
