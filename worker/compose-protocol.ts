/** The messages between a recorder's page and its composing worker. */

/** A picture that arrives. Ids are the page's; the label is drawn on the picture. */
export interface ComposeInput {
  readonly id: string;
  readonly label: string;
  /** A shared screen gets the large place. */
  readonly isScreen: boolean;
}

/** What this device can do now. */
export interface ComposePace {
  readonly max_fps: number;
  /** Part of the full width and height, at most: one of canvas-size's scales. */
  readonly max_scale: number;
}

export type ToComposer =
  | {
      readonly m: "start";
      readonly width: number;
      readonly height: number;
      readonly max_fps: number;
      /** Of a MediaStreamTrackGenerator; transferred. */
      readonly writable: WritableStream<VideoFrame>;
    }
  | ({ readonly m: "pace" } & ComposePace)
  /** `readable` is a MediaStreamTrackProcessor's; transferred. */
  | { readonly m: "add"; readonly input: ComposeInput; readonly readable: ReadableStream<VideoFrame> }
  | { readonly m: "label"; readonly id: string; readonly label: string }
  | { readonly m: "remove"; readonly id: string }
  | { readonly m: "close" };

/** Counts of one input: frames that arrived, frames that were drawn. */
export interface InputCounts {
  readonly id: string;
  readonly frames: number;
  /** Frames since the last report. */
  readonly arrived: number;
  /** Milliseconds since the last frame arrived; null before the first. */
  readonly idle_ms: number | null;
  /** Changed pictures among the frames seen since the last report, by a coarse sample of pixels. */
  readonly changed: number;
}

export interface ComposeCounts {
  readonly composed: number;
  readonly inputs: readonly InputCounts[];
}

export type FromComposer =
  /** Every second. */
  { readonly m: "counts"; readonly counts: ComposeCounts } | { readonly m: "failed"; readonly message: string };
