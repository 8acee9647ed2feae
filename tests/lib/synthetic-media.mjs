/**
 * Cameras and microphones for automated browsers: see media-code.mjs for what they show and play,
 * code-reader.mjs and audio.mjs for how it is found again.
 *
 *     await installSyntheticMedia(browser.context, { participant: 1, label: "patient" });
 *
 * Call it before the context's first navigation. Camera 1 and microphone 1 of participant *p* carry
 * source *p*, camera 2 and microphone 2 source *p* + 8, a shared screen source *p* + 16.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} SyntheticOptions
 * @property {number} participant 0 to 7; the source that the codes name
 * @property {string} [label] shown in the picture
 * @property {number} [width] of the picture, default 640
 * @property {number} [height] default 360
 * @property {number} [fps] default 30
 * @property {string} [deny] a DOMException name, such as "NotAllowedError": no device is given
 */

/**
 * Installs the devices in every page of a playwright context (or in one page).
 * @param {{addInitScript: (script: {content: string}) => Promise<unknown>}} target
 * @param {SyntheticOptions} options
 */
export async function installSyntheticMedia(target, options) {
  await target.addInitScript({ content: await syntheticMediaScript(options) });
}

/**
 * The same as plain script text, for other drivers.
 * @param {SyntheticOptions} options
 */
export async function syntheticMediaScript({
  participant,
  label = `participant ${participant}`,
  width = 640,
  height = 360,
  fps = 30,
  deny,
}) {
  if (!Number.isInteger(participant) || participant < 0 || participant > 7) {
    throw new RangeError(`participant must be 0 to 7, not ${participant}`);
  }
  const esbuild = await import("esbuild");
  const { outputFiles } = await esbuild.build({
    entryPoints: [path.join(path.dirname(fileURLToPath(import.meta.url)), "synthetic-media-page.mjs")],
    bundle: true,
    format: "iife",
    write: false,
    define: { SYNTHETIC_OPTIONS: JSON.stringify({ participant, label, width, height, fps, deny }) },
  });
  return outputFiles[0].text;
}
