/**
 * Keeps mixed sound below full scale: when several people are loud at once their sum is not cut off.
 *
 * A compressor turns the sum down, slowly enough not to be heard working; a curve behind it rounds what the compressor
 * is too slow for. Sound below {@link THRESHOLD_DB} passes as it is.
 */

const THRESHOLD_DB = -9;
const KNEE_DB = 9;
const RATIO = 20;
const ATTACK_S = 0.002;
/** Long: turning up again within a word would be heard. */
const RELEASE_S = 0.4;
/** The curve is a straight line up to here, and never above {@link CEILING}. */
const STRAIGHT_UP_TO = 0.7;
const CEILING = 0.9;
/** What the curve takes in; beyond it is flat. */
const CURVE_REACH = 4;
const CURVE_POINTS = 4_097;

export interface Limiter {
  readonly input: AudioNode;
  readonly output: AudioNode;
}

/** @internal */
export function makeLimiter(context: BaseAudioContext): Limiter {
  const compressor = context.createDynamicsCompressor();
  compressor.threshold.value = THRESHOLD_DB;
  compressor.knee.value = KNEE_DB;
  compressor.ratio.value = RATIO;
  compressor.attack.value = ATTACK_S;
  compressor.release.value = RELEASE_S;
  // A compressor turns everything up by what it takes from the loudest (Web Audio API, "makeup gain"): taken back here,
  // together with the scale of the curve.
  const scale = context.createGain();
  scale.gain.value = 1 / (makeupGain() * CURVE_REACH);
  const curve = context.createWaveShaper();
  curve.curve = roundedCurve();
  compressor.connect(scale).connect(curve);
  return { input: compressor, output: curve };
}

/** Web Audio API, section 1.19: the reciprocal of the gain at full scale, to the power of 0.6. */
function makeupGain(): number {
  return (1 / compressedFullScale()) ** 0.6;
}

/** The static curve at full scale, 0 dB: the knee's shape is the browser's; above it the ratio holds. */
function compressedFullScale(): number {
  const kneeEnd = 10 ** ((THRESHOLD_DB + KNEE_DB) / 20);
  const k = kneeSlope();
  const knee = kneeAt(kneeEnd, k);
  const aboveDb = 20 * Math.log10(1 / kneeEnd);
  return knee * 10 ** (aboveDb / RATIO / 20);
}

/** Chromium's knee: exponential, with the `k` that gives slope 1/ratio at its end. */
function kneeAt(x: number, k: number): number {
  const threshold = 10 ** (THRESHOLD_DB / 20);
  return x < threshold ? x : threshold + (1 - Math.exp(-k * (x - threshold))) / k;
}

function kneeSlope(): number {
  const x = 10 ** ((THRESHOLD_DB + KNEE_DB) / 20);
  const slopeAt = (k: number) => {
    const further = x * 1.001;
    const decibels = (value: number) => 20 * Math.log10(value);
    return (decibels(kneeAt(further, k)) - decibels(kneeAt(x, k))) / (decibels(further) - decibels(x));
  };
  let [low, high] = [0.1, 10_000];
  for (let step = 0; step < 15; step++) {
    const k = Math.sqrt(low * high);
    if (slopeAt(k) < 1 / RATIO) high = k;
    else low = k;
  }
  return Math.sqrt(low * high);
}

function roundedCurve(): Float32Array<ArrayBuffer> {
  const curve = new Float32Array(CURVE_POINTS);
  const room = CEILING - STRAIGHT_UP_TO;
  for (let index = 0; index < CURVE_POINTS; index++) {
    const value = ((2 * index) / (CURVE_POINTS - 1) - 1) * CURVE_REACH;
    const over = Math.abs(value) - STRAIGHT_UP_TO;
    curve[index] = over <= 0 ? value : Math.sign(value) * (STRAIGHT_UP_TO + room * Math.tanh(over / room));
  }
  return curve;
}
