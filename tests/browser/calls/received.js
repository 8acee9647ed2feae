/** What arrives in a test page: played, counted, and taken out for the test to look at. */
import { base64 } from "./encoder-log-client.js";

const received = [];

/** Plays a track; `about` holds its receiver, and whose it is. */
export function show(track, about) {
  const element = document.createElement(track.kind);
  element.srcObject = new MediaStream([track]);
  element.autoplay = true;
  element.muted = true;
  element.playsInline = true;
  document.body.append(element);
  const entry = { kind: track.kind, track, about, element };
  if (track.kind === "audio") entry.sound = tapSound(track);
  received.push(entry);
}

/** Resolves with the time, on `performance.now()`'s clock, at which a first video has a picture to show. */
export function firstPicture() {
  return new Promise((resolve) => {
    const look = ({ target }) => {
      if (target.tagName !== "VIDEO") return;
      document.removeEventListener("loadeddata", look, { capture: true });
      resolve(performance.now());
    };
    document.addEventListener("loadeddata", look, { capture: true });
  });
}

/** One row for each received track, in the order of arrival. */
export async function measure() {
  return await Promise.all(
    received.map(async ({ kind, about, element, sound }) => {
      const stats = [...(await about.receiver.getStats()).values()].find(({ type }) => type === "inbound-rtp") ?? {};
      const row = {
        kind,
        participant: about.participant,
        track: about.track,
        packetsReceived: stats.packetsReceived ?? 0,
        framesDecoded: stats.framesDecoded ?? 0,
      };
      if (kind === "video") return { ...row, videoWidth: element.videoWidth };
      return { ...row, peak: sound.peak };
    }),
  );
}

/** The picture of a received video track: `{ width, height, base64 }`, one byte of brightness for each pixel. */
export function grab(index) {
  const { element } = received[index];
  const { videoWidth: width, videoHeight: height } = element;
  if (width === 0) return null;
  const painter = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  painter.drawImage(element, 0, 0);
  const { data } = painter.getImageData(0, 0, width, height);
  const luma = new Uint8Array(width * height);
  // Rec. 601: what the encoder's own luma is made with.
  for (let at = 0; at < luma.length; at++)
    luma[at] = 0.299 * data[at * 4] + 0.587 * data[at * 4 + 1] + 0.114 * data[at * 4 + 2];
  return { width, height, base64: base64(luma) };
}

/** Sound of a received audio track: 32-bit floats, and the wall clock at the first. */
export async function listen(index, seconds) {
  const { sound } = received[index];
  sound.start();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  return sound.take();
}

function tapSound(track) {
  const context = new AudioContext({ sampleRate: 48_000 });
  const processor = context.createScriptProcessor(2_048, 1, 1);
  let blocks = null;
  let beganMs = 0;
  const tap = {
    /** The loudest sample ever. */
    peak: 0,
    start() {
      beganMs = Date.now();
      blocks = [];
    },
    take() {
      const samples = new Float32Array(blocks.length * 2_048);
      for (const [at, block] of blocks.entries()) samples.set(block, at * 2_048);
      blocks = null;
      return { beganMs, rateHz: context.sampleRate, base64: base64(new Uint8Array(samples.buffer)) };
    },
  };
  processor.onaudioprocess = ({ inputBuffer }) => {
    const samples = inputBuffer.getChannelData(0);
    for (const sample of samples) tap.peak = Math.max(tap.peak, Math.abs(sample));
    blocks?.push(samples.slice());
  };
  context.createMediaStreamSource(new MediaStream([track])).connect(processor);
  processor.connect(context.destination);
  return tap;
}
