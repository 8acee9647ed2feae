/** Frames of a track as a stream, and back. Chromium has it, in windows only. */

/** @internal */
export interface TrackProcessor {
  readonly readable: ReadableStream<VideoFrame>;
}
export interface TrackGenerator extends MediaStreamTrack {
  readonly writable: WritableStream<VideoFrame>;
}
export interface BreakoutBox {
  readonly MediaStreamTrackProcessor?: new (init: {
    track: MediaStreamTrack;
    maxBufferSize?: number;
  }) => TrackProcessor;
  readonly MediaStreamTrackGenerator?: new (init: { kind: "video" }) => TrackGenerator;
}

/** @internal Whether this browser can compose in a worker. */
export function canCompose(): boolean {
  const { MediaStreamTrackProcessor, MediaStreamTrackGenerator } = globalThis as BreakoutBox;
  return MediaStreamTrackProcessor !== undefined && MediaStreamTrackGenerator !== undefined;
}
