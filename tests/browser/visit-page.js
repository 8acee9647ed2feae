/** A page with nothing but the package, for tests that call it as an embedder would. */
import * as sealedVisit from "/sealed-visit/index.js";

const config = await (await fetch("/config.json")).json();

async function post(path, body) {
  const response = await fetch(`${config.authority_url}/v1/visits/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  return answer;
}

const decode = (jws) => JSON.parse(atob(jws.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));

/** Every worker that the package made, oldest first, for a test that kills one. */
const workers = [];
const Original = Worker;
window.Worker = class extends Original {
  constructor(...options) {
    super(...options);
    if (String(options[0]).includes("visit-worker")) workers.push(this);
  }
};

const page = {
  sealedVisit,
  config,
  /** What happened, oldest first: [name, detail]. */
  log: [],

  async join({ visit, secret, name }) {
    this.visit = await sealedVisit.joinVisit({
      relayUrl: config.relay_url,
      rootKey: config.root_key,
      clinicDocument: config.clinic_document,
      vaultUrl: config.vault_url,
      displayName: name,
      storageKey: visit,
      getPass: async ({ jwk, nameCommitment }) => {
        const random = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
        const credential = random.replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
        const asked = { secret, credential, jwk, name_commitment: nameCommitment };
        const { pass } = await post(`${visit}/redeem`, asked);
        this.credential = credential;
        return pass;
      },
    });
    const note = (name) => (detail) =>
      this.log.push([name, detail instanceof Error ? { code: detail.code, message: detail.message } : detail]);
    for (const name of ["event", "frames_dropped", "withdrawal_measured", "withdrawal_recorded", "problem", "failed"]) {
      this.visit.on(name, note(name));
    }
    const admit = ({ waiting, me }) => {
      if (me.role !== "clinician") return;
      for (const { participant, role } of waiting)
        if (role !== "recorder") this.visit.admit(participant).catch(() => {});
    };
    this.visit.on("state", admit);
    admit(this.visit.state);
    return this.visit.state.me.participant;
  },

  async connect() {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
    this.media = this.visit.connectMedia({ stream });
    this.media.on("remote_added", ({ id, kind, mediaTrack }) => {
      const element = Object.assign(document.createElement(kind), { id, autoplay: true, muted: true });
      element.srcObject = new MediaStream([mediaTrack]);
      document.body.append(element);
    });
    for (const name of ["local_ended", "local_interrupted", "local_resumed"])
      this.media.on(name, ({ source }) => this.log.push([name, source, Date.now()]));
    this.media.on("remote_removed", ({ id }) => document.getElementById(id)?.remove());
  },

  /** Sends from other devices, as a person chooses them; resolves when they are on their way. */
  async switchDevices(constraints) {
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    for (const track of stream.getTracks()) {
      const { id } = this.media.local.find(({ kind }) => kind === track.kind);
      await this.media.replaceTrack(id, track);
    }
  },

  /** Frames that were decoded and shown. */
  shown: () => [...document.querySelectorAll("video")].map((video) => video.getVideoPlaybackQuality().totalVideoFrames),

  async prepareRecorder(capture = {}) {
    this.recorder = await this.visit.prepareRecorder({
      ...capture,
      vaultUrl: config.vault_url,
      getPass: async ({ jwk, nameCommitment: name_commitment }) => {
        const { visit } = this.visit.state;
        return (await post(`${visit}/recorder-pass`, { credential: this.credential, jwk, name_commitment })).pass;
      },
    });
    this.recorderLog = [];
    for (const name of ["state", "problem", "receipt", "warning", "recorder_health"]) {
      this.recorder.on(name, (detail) =>
        this.recorderLog.push([
          name,
          detail instanceof Error ? { code: detail.code, message: detail.message } : detail,
          Date.now(),
        ]),
      );
    }
    return this.recorder.participant;
  },

  /** When the recorder told this of someone's picture, or sound, first after `sinceMs`; null when it did not. */
  told({ participant, kind = "video", status, sinceMs }) {
    const report = this.recorderLog.find(
      ([name, detail, atMs]) =>
        name === "recorder_health" &&
        detail.participant === participant &&
        detail.kind === kind &&
        detail.status === status &&
        atMs >= sinceMs,
    );
    return report?.[2] ?? null;
  },

  ask(purpose = "medical_record") {
    const recipients = decode(config.clinic_document)
      .recipients.map(({ fingerprint, role }) => ({ fingerprint, role }))
      .sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1));
    return this.visit.requestConsent({
      purpose,
      recipients,
      recorder: this.recorder.participant,
      terms: { retention_days: 30, on_withdrawal: "keep" },
      checklist: [{ what: "identity_verified", at_ms: Date.now() }],
      texts: ["information", "recording"].map((layer) => ({
        layer,
        language: "en",
        version: "1",
        text: `About ${layer}.`,
      })),
    });
  },

  grant() {
    return this.grantFor([true]);
  },

  /** Everyone at this device, by who agrees to being recorded. */
  grantFor(people) {
    const answers = people.map((recording, index) => ({
      person: index === 0 ? "self" : `person-${index + 1}`,
      on_behalf_of: { kind: "myself" },
      information: true,
      recording,
    }));
    return this.visit.grant({ answers, language: "en", place: "" });
  },

  /** Whether the recorder could be started; not, while it has not asked, or who paused is not known to agree again. */
  started() {
    return this.visit.startRecorder().then(
      () => true,
      (error) => {
        if (!["visit-recorder-not-ready", "visit-pauser-must-agree"].includes(error.code)) throw error;
        return false;
      },
    );
  },

  /** As a crash would: without a word to anyone. */
  killRecorder() {
    workers.at(-1).terminate();
  },

  /** As the pages do: the click stops, the wish comes later, the statement with it. */
  async withdrawAfterHold(wish) {
    const hold = this.visit.hold({ clickedAt: performance.now() });
    const { encrypted } = await this.visit.stats();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    this.whileHeld = (await this.visit.stats()).encrypted - encrypted;
    await this.visit.withdraw({ wish });
    hold.release();
  },

  spools: () => page.recorder.spools.map(({ part, state, finished }) => ({ part, state, finished })),

  /** Names of the spools that are on this device. */
  async spoolFolders() {
    const root = await navigator.storage.getDirectory();
    const names = [];
    try {
      for await (const name of (await root.getDirectoryHandle("sealed-visit-spool")).keys()) names.push(name);
    } catch (error) {
      if (error.name !== "NotFoundError") throw error;
    }
    return names;
  },

  /** `signIn` is what gives a capability when the vault takes none that this device has. */
  recover: (signIn) =>
    sealedVisit.recoverSpools({
      rootKey: config.root_key,
      clinicDocument: config.clinic_document,
      // What cannot be sent would be tried for ever.
      signal: AbortSignal.timeout(60_000),
      ...(signIn ? { renewCapability: signIn } : {}),
    }),

  async play({ keyFile, passphrase, recording }) {
    const wrong = await sealedVisit.unlockPlayer({ keyFile, passphrase: "wrong" }).catch(({ code }) => code);
    const player = await sealedVisit.unlockPlayer({ keyFile, passphrase });
    const trust = { rootKey: config.root_key, clinicDocument: config.clinic_document };
    const tracks = await player.load({ ...trust, recording, vaultUrl: config.vault_url });
    const opened = [];
    for (const { part, track, content, media_type, size_bytes } of tracks) {
      const blob = size_bytes > 0 ? await player.readBlob(part, track, media_type) : new Blob();
      if (content === "events")
        opened.push({ part, content, lines: (await blob.text()).trim().split("\n").map(JSON.parse) });
      else opened.push({ part, content, video: await firstPicture(blob) });
    }
    const report = await player.report();
    player.close();
    return { wrong, opened, report };
  },
};

function firstPicture(blob) {
  return new Promise((resolve) => {
    const video = Object.assign(document.createElement("video"), { muted: true, src: URL.createObjectURL(blob) });
    video.onloadeddata = () => resolve([video.videoWidth, video.videoHeight]);
    video.onerror = () => resolve(video.error.message);
  });
}

window.page = page;
