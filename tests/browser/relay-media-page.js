/**
 * A page that speaks the relay's wire with media that is *not* encrypted: it tests the relay alone. Nothing of it
 * is in the package.
 *
 *     window.relayTest.connect({ url, pass, seed, visit, participant })   // hello; resolves with ready
 *     .publish({ screen })   .subscribe()   .measure()   .connections()
 */
const state = {
  /** What the relay said, and who waits for something of it. */
  messages: [],
  waiters: new Set(),
  publisher: null,
  subscriber: null,
  /** One entry for each track received. */
  received: [],
  generation: 0,
};

let socket;

const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const send = (message) => socket.send(JSON.stringify(message));

function next(type, timeoutMs = 10_000) {
  const known = state.messages.findIndex((message) => message.t === type);
  if (known >= 0) return Promise.resolve(state.messages.splice(known, 1)[0]);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the relay did not send ${type}`)), timeoutMs);
    state.waiters.add({ type, resolve, timer });
  });
}

function onMessage(message) {
  if (message.t === "subscribe_offer") return void answer(message).catch((error) => console.error(error));
  if (message.t === "error") console.error(`relay: ${message.code}: ${message.detail}`);
  for (const waiter of state.waiters) {
    if (waiter.type !== message.t) continue;
    state.waiters.delete(waiter);
    clearTimeout(waiter.timer);
    waiter.resolve(message);
    return;
  }
  state.messages.push(message);
}

async function connect({ url, pass, jwk, kid, visit, participant, afterSeq }) {
  const key = await crypto.subtle.importKey("jwk", jwk, { name: "Ed25519" }, false, ["sign"]);
  socket = new WebSocket(`${url}/v1/visit`);
  socket.onmessage = ({ data }) => onMessage(JSON.parse(data));
  socket.onclose = ({ code, reason }) => onMessage({ t: "closed", code, reason });
  const { nonce } = await next("challenge");
  const text = (value) => base64url(new TextEncoder().encode(JSON.stringify(value)));
  const signed = `${text({ alg: "EdDSA", typ: "sv-hello+jwt", kid })}.${text({ v: 1, visit, participant, nonce })}`;
  const signature = await crypto.subtle.sign({ name: "Ed25519" }, key, new TextEncoder().encode(signed));
  send({ t: "hello", v: 1, pass, proof: `${signed}.${base64url(signature)}`, after_seq: afterSeq });
  return next("ready");
}

async function publish({ video = true, codec, screen = false, maxKbps } = {}) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: !screen, video });
  state.publisher ??= new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const connection = state.publisher;
  for (const track of stream.getTracks()) {
    const transceiver = connection.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    transceiver.purpose = track.kind === "audio" ? "microphone" : screen ? "screen" : "camera";
    if (track.kind === "video" && codec) {
      const { codecs } = RTCRtpSender.getCapabilities("video");
      transceiver.setCodecPreferences([
        ...codecs.filter(({ mimeType }) => mimeType === codec),
        ...codecs.filter(({ mimeType }) => mimeType === "video/rtx"),
      ]);
    }
    if (track.kind === "video" && maxKbps) {
      const parameters = transceiver.sender.getParameters();
      parameters.encodings[0].maxBitrate = maxKbps * 1000;
      await transceiver.sender.setParameters(parameters);
    }
  }
  await connection.setLocalDescription();
  send({
    t: "publish_offer",
    sdp: connection.localDescription.sdp,
    tracks: connection.getTransceivers().map((transceiver) => ({
      mid: transceiver.mid,
      track: `${transceiver.purpose}-1`,
      kind: transceiver.sender.track.kind,
      source: transceiver.purpose,
    })),
  });
  const { sdp } = await next("publish_answer");
  await connection.setRemoteDescription({ type: "answer", sdp });
}

/** With `via`, a port of this machine, media takes that way instead of the relay's own port. */
function subscribe({ via } = {}) {
  state.via = via;
  state.subscriber?.close();
  state.received = [];
  state.subscriber = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  state.subscriber.ontrack = ({ track, transceiver, streams }) => {
    const element = document.createElement(track.kind);
    element.srcObject = new MediaStream([track]);
    element.autoplay = true;
    element.muted = true;
    document.body.append(element);
    const entry = { mid: transceiver.mid, kind: track.kind, stream: streams[0]?.id, element };
    if (track.kind === "audio") {
      const context = new AudioContext();
      entry.analyser = context.createAnalyser();
      entry.analyser.fftSize = 32768;
      context.createMediaStreamSource(new MediaStream([track])).connect(entry.analyser);
      // The fake microphone beeps once a second: the loudest moment since the last measurement counts.
      setInterval(() => {
        entry.peak = Math.max(entry.peak ?? 0, peakOf(entry.analyser));
      }, 300);
    }
    state.received.push(entry);
  };
  send({ t: "subscribe" });
}

async function answer({ generation, sdp, tracks }) {
  state.generation = generation;
  const offer = state.via ? sdp.replaceAll(/^(a=candidate:\S+ \d+ udp \d+ \S+) \d+/gim, `$1 ${state.via}`) : sdp;
  await state.subscriber.setRemoteDescription({ type: "offer", sdp: offer });
  await state.subscriber.setLocalDescription();
  send({ t: "subscribe_answer", generation, sdp: state.subscriber.localDescription.sdp });
  state.tracks = tracks;
}

/** What arrives now: numbers of pictures and sound of each received track that is offered. */
async function measure() {
  const reports = [...(await state.subscriber.getStats()).values()];
  return (state.tracks ?? []).map((offered) => {
    const entry = state.received.find(({ mid }) => mid === offered.mid);
    const inbound = reports.find(({ type, mid }) => type === "inbound-rtp" && mid === offered.mid) ?? {};
    const codec = reports.find(({ id }) => id === inbound.codecId)?.mimeType;
    return {
      ...offered,
      stream: entry?.stream,
      videoWidth: entry?.element.videoWidth,
      currentTime: entry?.element.currentTime,
      peak: takePeak(entry),
      codec,
      ...pick(inbound, "framesDecoded", "packetsReceived", "packetsLost", "nackCount", "pliCount", "freezeCount"),
      ...pick(inbound, "retransmittedPacketsReceived", "bytesReceived", "framesDropped", "estimatedPlayoutTimestamp"),
    };
  });
}

async function outgoing() {
  const reports = [...(await state.publisher.getStats()).values()];
  const pair = reports.find(({ type, nominated }) => type === "candidate-pair" && nominated);
  return {
    availableBps: pair?.availableOutgoingBitrate,
    tracks: reports
      .filter(({ type }) => type === "outbound-rtp")
      .map((report) =>
        pick(
          report,
          "kind",
          "mid",
          "bytesSent",
          "frameWidth",
          "framesEncoded",
          "keyFramesEncoded",
          "pliCount",
          "targetBitrate",
          "nackCount",
        ),
      ),
  };
}

const pick = (object, ...names) => Object.fromEntries(names.map((name) => [name, object[name]]));

function takePeak(entry) {
  const peak = entry?.peak;
  if (entry) entry.peak = 0;
  return peak;
}

function peakOf(analyser) {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
}

window.relayTest = {
  connect,
  publish,
  subscribe,
  measure,
  outgoing,
  send,
  next,
  messages: () => state.messages,
  close: () => socket.close(),
  states: () => [state.publisher?.connectionState, state.subscriber?.connectionState],
};
