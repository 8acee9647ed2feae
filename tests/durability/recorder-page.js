/** A recorder on a page of its own, as an embedder writes one: it finishes what an earlier page left, then joins. */
import { joinAsRecorder, recoverSpools } from "/sealed-visit/index.js";

const config = await (await fetch("/config.json")).json();
const { rootKey, clinicDocument } = { rootKey: config.root_key, clinicDocument: config.clinic_document };

const page = {
  problems: [],
  recovered: null,

  /** Resolves when everything is as safe as it can get. */
  async recover() {
    this.recovered = await recoverSpools({ rootKey, clinicDocument });
    return this.recovered;
  },

  async join({ visit, secret, capture }) {
    this.recorder = await joinAsRecorder({
      ...capture,
      relayUrl: config.relay_url,
      rootKey,
      clinicDocument,
      vaultUrl: config.vault_url,
      displayName: "Recorder",
      storageKey: visit,
      getPass: async ({ jwk, nameCommitment }) => {
        const response = await fetch(`${config.authority_url}/v1/visits/${visit}/redeem`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ secret, jwk, name_commitment: nameCommitment }),
        });
        if (!response.ok) throw new Error(await response.text());
        return (await response.json()).pass;
      },
    });
    this.recorder.on("problem", ({ code, message }) => this.problems.push({ code, message }));
    return this.recorder.participant;
  },

  /** What a page knows of itself at this moment. */
  status() {
    const { recorder } = this;
    const spools = recorder?.spools.map(({ part, state, sealed_bytes, uploaded_bytes }) => ({
      part,
      state,
      sealed_bytes,
      uploaded_bytes,
    }));
    return { state: recorder?.state ?? null, spools, at: Date.now(), hidden: document.hidden, problems: this.problems };
  },
};

window.page = page;
