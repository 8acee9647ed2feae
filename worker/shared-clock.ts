/**
 * The clock on which page and worker compare when things happened: milliseconds since the Unix epoch, with fractions. It runs
 * evenly, and no signature corrects it; what is signed goes by the visit's clock.
 */
export function sharedNowMs(sinceOriginMs = performance.now()): number {
  return performance.timeOrigin + sinceOriginMs;
}
