/**
 * The relay's test page of plain media, with a log of what its encoders make: nothing is encrypted
 * here. It shows that whoever searches finds what there is to be found. Nothing of it is in the package.
 */
import { loggedFrames, logId } from "./encoder-log-client.js";
import { firstPicture } from "./received.js";

if (logId !== null) {
  const worker = new Worker(`./plain-worker.js?log=${logId}`, { type: "module" });
  const { addTransceiver } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.addTransceiver = function (...given) {
    const transceiver = addTransceiver.apply(this, given);
    transceiver.sender.transform = new RTCRtpScriptTransform(worker, { direction: "send" });
    return transceiver;
  };
}

await import("./relay-media-page.js");
window.relayTest.loggedFrames = loggedFrames;

/**
 * Milliseconds from the wish to join until someone's picture is there; the camera is open already.
 * As in a visit there is a pass to be fetched, and a host who lets in.
 */
window.relayTest.joinAndWatch = async (url) => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  Object.defineProperty(navigator.mediaDevices, "getUserMedia", { value: async () => stream });
  const { connect, send, next, subscribe, publish } = window.relayTest;
  const picture = firstPicture();
  const beganMs = performance.now();
  await connect({ url, ...(await window.issuePass()) });
  const acceptedMs = performance.now();
  send({ t: "key_package", key_package: "a2V5" });
  await next("welcome");
  const liveMs = performance.now();
  subscribe();
  await publish({ codec: "video/VP8" });
  const pictureMs = await picture;
  return { accepted_ms: acceptedMs - beganMs, live_ms: liveMs - beganMs, picture_ms: pictureMs - beganMs };
};

/** The host lets in whoever asks, from now on. */
window.relayTest.admitAll = async ({ epoch = 0 } = {}) => {
  for (; ; epoch++) {
    const { waiting } = await window.relayTest.next("waiting", 2 ** 31 - 1);
    const welcomes = [{ to: waiting.participant, welcome: "d2VsY29tZQ" }];
    window.relayTest.send({ t: "commit", group_id: "Z3JvdXA", epoch, commit: "Y29tbWl0", welcomes });
  }
};

window.isReady = true;
