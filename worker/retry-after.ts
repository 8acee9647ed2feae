/** `Retry-After` (RFC 9110, section 10.2.3): how long a server asks to be left alone. */

const LONGEST_MS = 600_000;

/** Null where it says nothing. Seconds, or a date by this device's clock; ten minutes at most. */
export function retryAfterMs(header: string | null | undefined): number | null {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, LONGEST_MS);
  const until = Date.parse(text);
  return Number.isNaN(until) ? null : Math.min(Math.max(until - Date.now(), 0), LONGEST_MS);
}
