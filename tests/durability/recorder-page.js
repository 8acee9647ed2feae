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
          body: JSON.stringify({ secret, credential: "A".repeat(43), jwk, name_commitment: nameCommitment }),
        });
        if (!response.ok) throw new Error(await response.text());
        return (await response.json()).pass;
      },
    });
    this.recorder.on("problem", ({ code, message }) => this.problems.push({ code, message }));
    return this.recorder.participant;
  },

  /** What must never happen, done on purpose: recorded media in the clear, in a file of this origin. */
  async leak() {
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d");
    const recorder = new MediaRecorder(canvas.captureStream(10), { mimeType: "video/webm;codecs=vp8" });
    const data = new Promise((resolve) => {
      recorder.ondataavailable = (event) => resolve(event.data);
    });
    recorder.start();
    for (let shade = 0; shade < 10; shade++) {
      pen.fillStyle = `rgb(${shade * 20} 0 0)`;
      pen.fillRect(0, 0, canvas.width, canvas.height);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    recorder.stop();
    const root = await navigator.storage.getDirectory();
    const file = await (await root.getFileHandle("leaked", { create: true })).createWritable();
    await file.write(await data);
    await file.close();
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
