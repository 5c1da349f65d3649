import { zoneSpans } from "../../../domain/schedule/zone-spans.ts";

/** Before this year a zone's offset is taken to be what it was then. */
const FIRST_YEAR = 2_000;
const DAY_MS = 86_400_000;

/**
 * The original's times as SQL. A DATETIME holds the local time of whoever wrote
 * it, a TIMESTAMP an instant, which a session at UTC reads as such. A local
 * time that a clock change repeats is taken for the first.
 */
export class OriginalTime {
  /** Seconds that local time is ahead of UTC, for each column, or "0". */
  readonly #offset: (column: string) => string;

  /**
   * @param timeZone of the DATETIME columns, by its IANA name
   * @param nowUs no later change of the zone's offset matters
   */
  constructor(timeZone: string, nowUs: number) {
    const changes = offsetChanges(timeZone, nowUs / 1_000);
    const last = changes.at(-1)?.offsetS ?? 0;
    const cases = changes.slice(0, -1).map(({ untilText, offsetS }) => ({ untilText, offsetS }));
    this.#offset = (column) =>
      cases.length === 0
        ? String(last)
        : `(CASE ${cases.map((one) => `WHEN ${column} < '${one.untilText}' THEN ${one.offsetS}`).join(" ")} ELSE ${last} END)`;
  }

  /** The column as a DATETIME in UTC; as it stands where it is in UTC already. NULL for none, and for MySQL's zero date. */
  datetime(column: string, type: string): string {
    const offset = this.#offset(column);
    const there = `IF(YEAR(${column}) > 0, ${column}, NULL)`;
    return type === "timestamp" || offset === "0" ? there : `(${there} - INTERVAL ${offset} SECOND)`;
  }

  /** The column as microseconds since 1970 in UTC, or NULL; what is before 1970 is 0. */
  microseconds(column: string, type: string): string {
    return `GREATEST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', ${this.datetime(column, type)}), 0)`;
  }
}

type OffsetChange = { readonly offsetS: number; readonly untilText: string };

/** The zone's offsets up to now, each with the local time that it ends at. */
function offsetChanges(timeZone: string, nowMs: number): OffsetChange[] {
  const spans = zoneSpans(timeZone);
  const found: OffsetChange[] = [];
  let atMs = Date.UTC(FIRST_YEAR, 0, 1);
  do {
    const { endMs, offsetMs } = spans.at(atMs);
    const change = { offsetS: offsetMs / 1_000, untilText: sqlTime(endMs + offsetMs) };
    if (found.at(-1)?.offsetS === change.offsetS) found.pop();
    found.push(change);
    atMs = endMs;
  } while (atMs < nowMs + DAY_MS);
  return found;
}

function sqlTime(localMs: number): string {
  return new Date(localMs).toISOString().slice(0, 19).replace("T", " ");
}
