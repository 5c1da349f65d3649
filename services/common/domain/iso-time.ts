/** Microseconds as a time of ISO 8601, cut to milliseconds. */
export function isoTimeOf(timeUs: number): string {
  return new Date(Math.floor(timeUs / 1000)).toISOString();
}
