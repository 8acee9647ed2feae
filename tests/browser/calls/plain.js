/**
 * The relay's test page of plain media, with a log of what its encoders make: nothing is encrypted
 * here. It shows that whoever searches finds what there is to be found. Nothing of it is in the package.
 */
import { loggedFrames, logId } from "./encoder-log-client.js";

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
window.isReady = true;
