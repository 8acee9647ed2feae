/**
 * Which runs of bytes two collections of buffers have in common.
 *
 *     commonRuns(encoderOutput, packets)   // { runs, places }
 *
 * `places` counts the positions in `packets` at which a run of {@link RUN_BYTES} bytes could begin,
 * `runs` those where one begins that occurs, at whatever offset, in `encoderOutput`. Both sides are
 * looked at byte by byte: no run of that length is missed.
 */
export const RUN_BYTES = 16;

export function commonRuns(encoderOutput, packets) {
  const known = new Set();
  for (const run of runsIn(encoderOutput)) known.add(run);
  let [runs, places] = [0, 0];
  for (const run of runsIn(packets)) {
    places += 1;
    if (known.has(run)) runs += 1;
  }
  return { runs, places };
}

function* runsIn(buffers) {
  for (const bytes of buffers) {
    const text = bytes.toString("latin1");
    for (let at = 0; at + RUN_BYTES <= text.length; at++) yield text.slice(at, at + RUN_BYTES);
  }
}
