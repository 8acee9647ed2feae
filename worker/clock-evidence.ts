/**
 * What a pass says about the time. A fresh pass was signed a moment ago, by an authority of the clinic, for the key that was
 * made here: its `iat` is better evidence than the clock of a device. The core judges clinic document and pass at the
 * corrected time, so that a time whose signature does not verify corrects nothing.
 *
 * How far a correction may go is bounded: so far can a dishonest authority shift the time of this member, and no further.
 * Nothing unsigned counts.
 */

/** A device whose clock is so close is right; the request took a while, too. */
const TOLERANCE_MS = 2 * 60_000;
/** A clock that is off by more is not corrected; the person is told. */
const LIMIT_MS = 7 * 24 * 3_600_000;

export interface SignedTimes {
  readonly iat: number;
  readonly exp: number;
}

/** What to add to this device's clock, by a pass that was signed just now; null when that would be too much. */
export function correctionBy({ iat }: SignedTimes, deviceMs: number): number | null {
  // The core says what is wrong with such a pass.
  if (!Number.isFinite(iat)) return 0;
  const offMs = iat * 1_000 - deviceMs;
  if (Math.abs(offMs) <= TOLERANCE_MS) return 0;
  return Math.abs(offMs) <= LIMIT_MS ? offMs : null;
}

/**
 * For a pass that was kept over a reload: the correction from then, unless the clock was set right meanwhile; null when the
 * pass is good at neither time.
 */
export function keptCorrection({ iat, exp }: SignedTimes, correctionMs: number, deviceMs: number): number | null {
  const isGood = (candidateMs: number) => {
    const atMs = deviceMs + candidateMs;
    return iat * 1_000 - TOLERANCE_MS <= atMs && atMs < exp * 1_000;
  };
  return [correctionMs, 0].find(isGood) ?? null;
}
