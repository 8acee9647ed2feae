/**
 * Connects the streams of encoded frames (WebRTC Encoded Transform) with {@link FrameCrypto}.
 *
 * The pipe's end is no error of the visit: it comes when a sender or receiver is closed.
 */
import type { TransformOptions } from "../protocol.js";
import type { FrameCrypto } from "./frame-crypto.js";
import type { EncodedFrame } from "./frame-track.js";

export function attachTransformer(frames: FrameCrypto, transformer: RTCRtpScriptTransformer): void {
  const options = transformer.options as TransformOptions;
  const ask = () => transformer.sendKeyFrameRequest();
  attach(frames, options, transformer.readable, transformer.writable, ask);
}

/** The older `createEncodedStreams`: there a key frame cannot be asked for. */
export function attachStreams(
  frames: FrameCrypto,
  options: TransformOptions,
  readable: ReadableStream,
  writable: WritableStream,
): void {
  attach(frames, options, readable, writable, null);
}

function attach(
  frames: FrameCrypto,
  options: TransformOptions,
  readable: ReadableStream<EncodedFrame>,
  writable: WritableStream<EncodedFrame>,
  askForKeyFrame: (() => Promise<void>) | null,
): void {
  const track = frames.addTrack(options, askForKeyFrame);
  const process = options.direction === "send" ? frames.send.bind(frames) : frames.receive.bind(frames);
  const stream = new TransformStream<EncodedFrame, EncodedFrame>({
    transform: (frame, controller) => process(track, frame, controller),
  });
  readable
    .pipeThrough(stream)
    .pipeTo(writable)
    .catch(() => undefined)
    .finally(() => frames.removeTrack(options.key));
}
