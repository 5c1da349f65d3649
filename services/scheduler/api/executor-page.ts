import type { ExecutorRecord } from "../../common/domain/executor.ts";
import { type Page, PageTokenFault } from "../../common/port/store.ts";

/** A place in the list of executors: when the last one of the page before registered, and who it was. */
type Place = readonly [registeredUs: number, executorId: string, incarnation: string];

/**
 * A page of the live executors, which are listed in order of registration. The
 * token names a place and not an entry, so that the list goes on where it was
 * though the executor that it ended with has gone. Throws PageTokenFault.
 */
export function executorPage(
  records: readonly ExecutorRecord[],
  pageSize: number,
  token: string | null,
): Page<ExecutorRecord> {
  const after = token === null ? null : parseToken(token);
  const rest = after === null ? records : records.filter((record) => compare(placeOf(record), after) > 0);
  const items = rest.toSorted((a, b) => compare(placeOf(a), placeOf(b))).slice(0, pageSize);
  const last = items.at(-1);
  return { items, nextToken: last === undefined || items.length === rest.length ? null : tokenOf(placeOf(last)) };
}

function placeOf({ registeredUs, executorId, incarnation }: ExecutorRecord): Place {
  return [registeredUs, executorId, incarnation];
}

function compare(a: Place, b: Place): number {
  for (const [index, value] of a.entries()) {
    const other = b[index];
    if (other !== undefined && value !== other) return value < other ? -1 : 1;
  }
  return 0;
}

function tokenOf(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

function parseToken(token: string): Place {
  try {
    const place: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    if (isPlace(place)) return place;
  } catch {
    // Said below, as for any other text that is no token.
  }
  throw new PageTokenFault("the page token is not one that the list of executors gave");
}

function isPlace(value: unknown): value is Place {
  if (!Array.isArray(value) || value.length !== 3) return false;
  return typeof value[0] === "number" && typeof value[1] === "string" && typeof value[2] === "string";
}
