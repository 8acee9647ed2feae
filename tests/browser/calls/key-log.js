/**
 * In a worker, before the package's: what a member could do with a browser of its own making. It
 * copies every base key that the visit installs to the page, so that the package's
 * forgetting of keys does not protect anyone in the test that uses it. The WebAssembly module
 * that it loads logs them (src/test_hooks.rs); the one that is shipped does not.
 */
const channel = new BroadcastChannel(`key-log-${new URLSearchParams(self.location.search).get("log")}`);

const { instantiateStreaming, instantiate } = WebAssembly;
WebAssembly.instantiateStreaming = async (...given) => watched(await instantiateStreaming(...given));
WebAssembly.instantiate = async (...given) => watched(await instantiate(...given));

function watched(made) {
  const exports = made.instance?.exports;
  if (typeof exports?.visitcore_handle !== "function") return made;
  if (typeof exports.keyLogPointer !== "function")
    throw new Error("this module has no log of keys: take dist/wasm-test");
  let read = 0;
  const visitcore_handle = (...given) => {
    const result = exports.visitcore_handle(...given);
    const log = new Uint8Array(exports.memory.buffer, exports.keyLogPointer(), exports.keyLogLength());
    while (read < log.length) {
      const epoch = Number(new DataView(log.buffer, log.byteOffset + read).getBigUint64(0, true));
      const leaves = log[read + 25];
      channel.postMessage({
        epoch,
        baseKey: [...log.subarray(read + 8, read + 24)],
        ownLeaf: log[read + 24],
        leaves: [...log.subarray(read + 26, read + 26 + leaves)],
      });
      read += 26 + leaves;
    }
    return result;
  };
  return { module: made.module, instance: { exports: { ...exports, visitcore_handle } } };
}
