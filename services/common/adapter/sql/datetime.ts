/** A time in microseconds as the DATETIME(6) columns of the original's tables have it, in UTC. */
export function datetimeText(timeUs: number): string {
  const seconds = new Date(Math.floor(timeUs / 1_000_000) * 1_000).toISOString().slice(0, 19).replace("T", " ");
  const fraction = timeUs % 1_000_000;
  return `${seconds}.${String(fraction).padStart(6, "0")}`;
}
