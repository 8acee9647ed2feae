/** The page's half of encoder-log.js and of key-log.js. */
export const logId = new URLSearchParams(location.search).get("log");

/** Every base key that this page's worker was given, in that order: `[{ epoch, baseKey, ownLeaf, leaves }]`. */
export const loggedKeys = [];
if (logId !== null) {
  new BroadcastChannel(`key-log-${logId}`).addEventListener("message", ({ data }) => loggedKeys.push(data));
}

/** What the encoders put out so far: `[{ mimeType, type, base64 }]`. */
export async function loggedFrames() {
  const channel = new BroadcastChannel(`encoder-log-${logId}`);
  try {
    const frames = await new Promise((resolve, reject) => {
      channel.addEventListener("message", ({ data }) => resolve(data));
      channel.postMessage("frames");
      setTimeout(() => reject(new Error("the worker does not log")), 5_000);
    });
    return frames.map(({ mimeType, type, data }) => ({ mimeType, type, base64: base64(new Uint8Array(data)) }));
  } finally {
    channel.close();
  }
}

export function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8_192) text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return btoa(text);
}
