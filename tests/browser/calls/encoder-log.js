/**
 * In a worker, before the script that transforms frames: keeps a copy of every frame that an encoder
 * puts out, and passes the frame on. Whoever knows the worker's `log` id may ask for the copies.
 */
const logged = [];

const readable = Object.getOwnPropertyDescriptor(RTCRtpScriptTransformer.prototype, "readable");
const watched = new WeakMap();
Object.defineProperty(RTCRtpScriptTransformer.prototype, "readable", {
  configurable: true,
  get() {
    if (this.options.direction !== "send") return readable.get.call(this);
    if (!watched.has(this)) watched.set(this, readable.get.call(this).pipeThrough(new TransformStream({ transform })));
    return watched.get(this);
  },
});

function transform(frame, controller) {
  logged.push({ mimeType: frame.getMetadata().mimeType, type: frame.type ?? "audio", data: frame.data.slice(0) });
  controller.enqueue(frame);
}

const channel = new BroadcastChannel(`encoder-log-${new URLSearchParams(self.location.search).get("log")}`);
channel.addEventListener("message", ({ data }) => {
  if (data === "frames") channel.postMessage(logged);
});
