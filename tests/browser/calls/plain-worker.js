/** Hands frames on as they are, logged: the test page without encryption. */
import "./encoder-log.js";

self.addEventListener("rtctransform", ({ transformer }) => {
  transformer.readable.pipeTo(transformer.writable).catch(() => {});
});
