/**
 * In a worker, before the package's: what a member could do with a browser of its own making. It
 * copies every base key on its way into the frame engine to the page, so that the package's
 * forgetting of keys does not protect anyone in the test that uses it.
 */
const channel = new BroadcastChannel(`key-log-${new URLSearchParams(self.location.search).get("log")}`);

const { instantiateStreaming, instantiate } = WebAssembly;
WebAssembly.instantiateStreaming = async (...given) => watched(await instantiateStreaming(...given));
WebAssembly.instantiate = async (...given) => watched(await instantiate(...given));

function watched(made) {
  const exports = made.instance?.exports;
  if (typeof exports?.frameengine_installEpoch !== "function") return made;
  const copied = (at, length) => [...new Uint8Array(exports.memory.buffer, at, length)];
  const frameengine_installEpoch = (engine, epoch, key, keyLength, ownLeaf, leaves, leavesLength) => {
    channel.postMessage({
      epoch: Number(epoch),
      baseKey: copied(key, keyLength),
      ownLeaf,
      leaves: copied(leaves, leavesLength),
    });
    return exports.frameengine_installEpoch(engine, epoch, key, keyLength, ownLeaf, leaves, leavesLength);
  };
  return { module: made.module, instance: { exports: { ...exports, frameengine_installEpoch } } };
}
