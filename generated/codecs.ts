// Generated from the Rust sources by `npm run types`: change those, and run it again.

/** MIME types of the codecs whose frames can be protected, in order of preference. */
export const CODECS: readonly string[] = ["audio/opus", "video/vp8", "video/vp9"];
