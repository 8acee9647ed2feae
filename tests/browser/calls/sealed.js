/**
 * A member of a visit on the package's public API, without the demo's pages: for tests of what
 * happens to frames. `window.issuePass` comes from the test.
 *
 *     window.call.join({ .. })   .admit(participant)   .publish({ .. })   .stats()   .leave()
 *     .offer({ .. })   .accept({ .. })   .complete({ .. })    // a connection of one's own between two pages
 *     .joinAndWatch({ .. })   .admitAll()              // for benches/join.mjs
 *     .measure()   .grab(index)   .listen(index, seconds)     // from received.js
 *
 * The address may ask for `late=MS`: transforms are attached so much later than the package does.
 */
import { joinVisit, preload } from "/index.js";
import { loggedFrames, loggedKeys } from "./encoder-log-client.js";
import { firstPicture, grab, listen, measure, show } from "./received.js";

const asked = new URLSearchParams(location.search);
const state = { visit: null, media: null, own: new Map(), problems: [] };

const lateMs = Number(asked.get("late") ?? 0);
if (lateMs > 0) attachLate(lateMs);
if (asked.has("codec")) allowOnly(asked.get("codec"));

window.call = {
  async join({ relayUrl, rootKey, clinicDocument, workerUrl, wasmUrl, storageKey }) {
    const visit = await joinVisit({
      relayUrl,
      rootKey,
      clinicDocument,
      displayName: "Someone",
      ...(workerUrl ? { workerUrl: new URL(workerUrl, location.href) } : {}),
      ...(wasmUrl ? { wasmUrl: new URL(wasmUrl, location.href) } : {}),
      ...(storageKey ? { storageKey } : {}),
      getPass: ({ jwk, nameCommitment }) => window.issuePass({ holder: jwk, nameCommitment }),
    });
    visit.on("problem", (error) => state.problems.push(`${error.code}: ${error.message} ${error.cause ?? ""}`));
    visit.on("failed", (error) => state.problems.push(`${error.code}: ${error.message}`));
    state.visit = visit;
  },
  state: () => state.visit.state,
  problems: () => state.problems,
  admit: (participant) => state.visit.admit(participant),
  stats: () => state.visit.stats(),
  leave: () => state.visit.leave(),
  loggedFrames,
  loggedKeys: () => loggedKeys,

  async publish({ audio = true, video = true, ...options } = {}) {
    const stream = audio || video ? await navigator.mediaDevices.getUserMedia({ audio, video }) : undefined;
    connectMedia({ ...(stream ? { stream } : {}), ...options });
  },

  preload: (options) => preload(options),

  /** Milliseconds from the wish to join until someone's picture is there; the camera is open already. */
  async joinAndWatch(options) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    const picture = firstPicture();
    const beganMs = performance.now();
    await this.join(options);
    const acceptedMs = performance.now();
    connectMedia({ stream });
    const live = new Promise((resolve) => {
      const look = ({ phase }) => phase === "live" && resolve(performance.now());
      state.visit.on("state", look);
      look(state.visit.state);
    });
    const [pictureMs, liveMs] = [await picture, await live];
    return { accepted_ms: acceptedMs - beganMs, live_ms: liveMs - beganMs, picture_ms: pictureMs - beganMs };
  },

  /** The host lets in whoever asks, from now on. */
  admitAll() {
    const asked = new Set();
    state.visit.on("state", ({ waiting }) => {
      for (const { participant } of waiting) {
        if (asked.has(participant)) continue;
        asked.add(participant);
        state.visit.admit(participant).catch((error) => state.problems.push(String(error)));
      }
    });
  },

  /** What leaves on the visit's own sending connection. */
  async outgoing() {
    const { publish } = await state.media.rtcStats();
    return outgoingOf(publish);
  },

  /** Offers a camera and a microphone to another page; `sealed` names the tracks, null leaves them unprotected. */
  async offer({ name, sealed, waits = true }) {
    const connection = new RTCPeerConnection({ encodedInsertableStreams: waits });
    state.own.set(name, connection);
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    for (const track of stream.getTracks()) {
      const transceiver = connection.addTransceiver(track, { direction: "sendonly" });
      if (track.kind === "video") only(transceiver, "video/VP8");
      if (sealed) protect(transceiver.sender, `${sealed}-${track.kind}`);
    }
    return await described(connection);
  },

  /** Takes an offer; `from` says whose frames are expected, null that nothing is attached. */
  async accept({ name, offer, from, sealed }) {
    const connection = new RTCPeerConnection({ encodedInsertableStreams: Boolean(from) });
    state.own.set(name, connection);
    connection.ontrack = ({ track, receiver }) => {
      if (from) state.visit.protectReceiver(receiver, { participant: from, track: `${sealed}-${track.kind}` });
      show(track, { receiver, participant: from, track: `${sealed}-${track.kind}` });
    };
    await connection.setRemoteDescription({ type: "offer", sdp: offer });
    return await described(connection);
  },

  complete: ({ name, answer }) => state.own.get(name).setRemoteDescription({ type: "answer", sdp: answer }),
  connectionState: (name) => state.own.get(name).connectionState,
  outgoingOn: async (name) => outgoingOf(await state.own.get(name).getStats()),

  /** The code with which the package refuses, or null. */
  tryToProtect(name) {
    const [sender] = state.own.get(name).getSenders();
    try {
      protect(sender, `${name}-late`);
      return null;
    } catch (error) {
      return error.code;
    }
  },
  closeOwn(name) {
    for (const { track } of state.own.get(name).getSenders()) track?.stop();
    state.own.get(name).close();
  },

  measure,
  grab,
  listen,
};

function connectMedia(options) {
  const media = state.visit.connectMedia(options);
  media.on("remote_added", ({ mediaTrack, receiver, participant, id }) =>
    show(mediaTrack, { receiver, participant, track: id }),
  );
  media.on("problem", (error) => state.problems.push(`${error.code}: ${error.message} ${error.cause ?? ""}`));
  state.media = media;
}

function protect(sender, track) {
  state.visit.protectSender(sender, { track, source: sender.track.kind === "audio" ? "microphone" : "camera" });
}

/** The local description with its candidates in it. */
async function described(connection) {
  await connection.setLocalDescription();
  await new Promise((resolve) => {
    const look = () => connection.iceGatheringState === "complete" && resolve();
    connection.addEventListener("icegatheringstatechange", look);
    look();
  });
  return connection.localDescription.sdp;
}

function outgoingOf(report) {
  const all = [...(report?.values() ?? [])];
  return {
    dtls: all.find(({ type }) => type === "transport")?.dtlsState ?? "none",
    tracks: all
      .filter(({ type }) => type === "outbound-rtp")
      .map(({ kind, packetsSent, bytesSent, framesEncoded, codecId }) => ({
        kind,
        packetsSent,
        bytesSent,
        framesEncoded: framesEncoded ?? null,
        codec: all.find(({ id }) => id === codecId)?.mimeType ?? null,
      })),
  };
}

function only(transceiver, mimeType) {
  transceiver.setCodecPreferences(
    RTCRtpSender.getCapabilities("video").codecs.filter((codec) => codec.mimeType === mimeType),
  );
}

/** What a page does whose script is slow: the transform comes when the connection has long been there. */
function attachLate(ms) {
  const { get, set } = Object.getOwnPropertyDescriptor(RTCRtpSender.prototype, "transform");
  Object.defineProperty(RTCRtpSender.prototype, "transform", {
    configurable: true,
    get,
    set(transform) {
      setTimeout(() => set.call(this, transform), ms);
    },
  });
}

/** Sends only with this video codec, so that each can be tried. */
function allowOnly(mimeType) {
  const { setCodecPreferences } = RTCRtpTransceiver.prototype;
  RTCRtpTransceiver.prototype.setCodecPreferences = function (codecs) {
    if (this.direction !== "sendonly") return setCodecPreferences.call(this, codecs);
    const wanted = codecs.filter((codec) => !codec.mimeType.startsWith("video/") || codec.mimeType === mimeType);
    return setCodecPreferences.call(this, wanted);
  };
}
