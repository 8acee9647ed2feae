/**
 * A clinician's connections are lost in the middle of being made, at each step: the browser never answers that step, as
 * after a laptop's lid was closed. The next connection is made all the same, and both people see and hear each other.
 * With the real relay and browser; a step is lost by keeping its promise back and by failing the connection.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { meet, startVisits } from "../lib/visit-people.mjs";

let visits;
let clinician;
let patient;

before(async () => {
  visits = await startVisits("lost");
  const { visit, links } = await visits.stack.makeVisit(["clinician", "patient"]);
  const media = { width: 320, height: 180, fps: 8 };
  clinician = await visits.person("clinician", { media: { participant: 0, ...media } });
  patient = await visits.person("patient", { media: { participant: 1, ...media } });
  await clinician.do(losable);
  for (const [index, one] of [clinician, patient].entries()) await one.join({ visit, secret: links[index].secret });
  await meet([clinician, patient]);
  await seeAndHearEachOther();
});

after(() => visits?.stop());

/** In the page: `lose(which)` fails a connection; `loseAt(which, step)` the next one, when it comes to that step. */
function losable() {
  const connections = [];
  const plans = [];
  globalThis.RTCPeerConnection = class extends globalThis.RTCPeerConnection {
    constructor(configuration) {
      super(configuration);
      connections.push(this);
    }
    get which() {
      return this.getTransceivers().some(({ direction }) => direction === "sendonly") ? "publish" : "subscribe";
    }
    fail() {
      Object.defineProperty(this, "connectionState", { value: "failed" });
      this.dispatchEvent(new Event("connectionstatechange"));
    }
  };
  const { prototype } = globalThis.RTCPeerConnection;
  for (const step of ["createOffer", "createAnswer", "setLocalDescription", "setRemoteDescription"]) {
    const original = prototype[step];
    prototype[step] = /** @this {any} */ function (...given) {
      const index = plans.findIndex((plan) => plan.step === step && plan.which === this.which);
      if (index < 0) return original.apply(this, given);
      const [plan] = plans.splice(index, 1);
      plan.resolve();
      setTimeout(() => this.fail());
      return new Promise(() => undefined);
    };
  }
  globalThis.lose = (which) => {
    for (const connection of /** @type {any[]} */ ([...connections]))
      if (connection.which === which && connection.connectionState === "connected") connection.fail();
  };
  globalThis.loseAt = (which, step) => new Promise((resolve) => plans.push({ which, step, resolve }));
}

/** What arrives now was sent now: pictures are decoded and sound comes, at both. A new connection counts from 0. */
async function seeAndHearEachOther() {
  for (const one of [clinician, patient]) {
    await one.do(async (page) => {
      globalThis.received = async () => {
        let [pictures, sound] = [0, 0];
        for (const { kind, framesDecoded, packetsReceived } of (await page.media.rtcStats()).subscribe?.values() ??
          []) {
          pictures += framesDecoded ?? 0;
          if (kind === "audio") sound += packetsReceived ?? 0;
        }
        return { pictures, sound };
      };
      globalThis.before = await globalThis.received();
    });
    await one.until(async () => {
      const now = await globalThis.received();
      const { before } = window;
      if (now.pictures < before.pictures) globalThis.before = { pictures: 0, sound: 0 };
      return now.pictures > before.pictures + 5 && now.sound > before.sound + 20;
    });
  }
}

const steps = [
  ["publish", "createOffer"],
  ["publish", "setLocalDescription"],
  ["publish", "setRemoteDescription"],
  ["subscribe", "setRemoteDescription"],
  ["subscribe", "createAnswer"],
  ["subscribe", "setLocalDescription"],
];
for (const [which, step] of steps) {
  test(`a connection that is lost during ${step} (${which}) is made anew`, async () => {
    await clinician.do(
      async (_, [one, at]) => {
        const lost = globalThis.loseAt(one, at);
        globalThis.lose(one);
        await lost;
      },
      [which, step],
    );
    await seeAndHearEachOther();
  });
}

test("a camera that is turned off while the connection is lost is off on the next one", async () => {
  await clinician.do(async (page) => {
    const { id } = page.media.local.find(({ source }) => source === "camera");
    const lost = globalThis.loseAt("publish", "createOffer");
    globalThis.lose("publish");
    await lost;
    await page.media.replaceTrack(id, null);
    globalThis.sent = async (kind) => {
      const reports = [...((await page.media.rtcStats()).publish?.values() ?? [])];
      return reports.find((report) => report.type === "outbound-rtp" && report.kind === kind) ?? {};
    };
  });
  await clinician.until(async () => (await globalThis.sent("audio")).packetsSent > 50);
  // Packets may come that hold nothing: the browser tries with them how much the line carries.
  const { framesEncoded = 0, framesSent = 0, bytesSent = 0 } = await clinician.do(() => globalThis.sent("video"));
  assert.deepEqual([framesEncoded, framesSent, bytesSent], [0, 0, 0]);
});
