import { assert } from "../../domain/assert.ts";
import type { RequestClaim } from "../../port/store-executions.ts";
import { insertRows, updateRows } from "./many-rows.ts";
import { namespacesOf } from "./namespaces.ts";
import { int, text } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/**
 * Rule 5: `requests` makes a call idempotent. Its row is inserted with a no-op
 * where one is there, and read back under lock: the one that is there decides,
 * unless it has expired. The row belongs to the transaction of what it makes,
 * so that a refused submission takes it along.
 */

/** A request is remembered this long. */
export const REQUEST_TTL_US = 24 * 3_600 * 1_000_000;

/** A request and the identifier of what it would make. */
export type RequestUse = { readonly request: RequestClaim; readonly resultId: string };

/** What a request turns out to be. */
export type RequestVerdict =
  | { readonly kind: "new" }
  /** It made this before. */
  | { readonly kind: "repeated"; readonly resultId: string }
  /** The same request_id came with another body. */
  | { readonly kind: "reused" };

const COLUMNS = ["namespace", "method", "request_id", "body_hash", "result_id", "expire_us"];

/** Text that stands for a request's key. */
export function requestKey(request: RequestClaim): string {
  return `${request.namespace}\n${request.method}\n${request.requestId}`;
}

/** Claims requests, no two of the same key, and answers for each in order. */
export async function claimRequests(session: SqlSession, uses: readonly RequestUse[]): Promise<RequestVerdict[]> {
  if (uses.length === 0) return [];
  const nowUs = await session.nowUs();
  const sorted = uses.toSorted((a, b) => (requestKey(a.request) < requestKey(b.request) ? -1 : 1));
  const expireUs = nowUs + REQUEST_TTL_US;
  const rows = sorted.map((use) => [...keyOf(use.request), use.request.bodyHash, use.resultId, expireUs]);
  await insertRows(session, "requests", COLUMNS, rows, "request_id");
  const stored = await lockRequests(session, sorted);
  const expired: RequestUse[] = [];
  const verdicts = uses.map((use): RequestVerdict => {
    const row = stored.get(requestKey(use.request));
    assert(row !== undefined, "a request is there after its insertion");
    if (text(row, "result_id") === use.resultId) return { kind: "new" };
    if (int(row, "expire_us") <= nowUs) {
      expired.push(use);
      return { kind: "new" };
    }
    if (text(row, "body_hash") !== use.request.bodyHash) return { kind: "reused" };
    return { kind: "repeated", resultId: text(row, "result_id") };
  });
  await updateRows(
    session,
    { table: "requests", keys: ["namespace", "method", "request_id"], set: ["body_hash", "result_id", "expire_us"] },
    expired.map((use) => [...keyOf(use.request), use.request.bodyHash, use.resultId, expireUs]),
  );
  return verdicts;
}

/** What a request of this transaction stands for, where that is not what it would have made. */
export async function setRequestResult(session: SqlSession, request: RequestClaim, resultId: string): Promise<void> {
  await session.execute(`UPDATE requests SET result_id = ? WHERE ${ONE_REQUEST}`, [resultId, ...keyOf(request)]);
}

/** Takes a request of this transaction away: what it asked for was refused. */
export async function forgetRequest(session: SqlSession, request: RequestClaim): Promise<void> {
  await session.execute(`DELETE FROM requests WHERE ${ONE_REQUEST}`, keyOf(request));
}

const ONE_REQUEST = "namespace = ? AND method = ? AND request_id = ?";

/** Rows of these requests, locked in the order of their keys. */
async function lockRequests(session: SqlSession, sorted: readonly RequestUse[]): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  const groups = Map.groupBy(sorted, ({ request }) => `${request.namespace}\n${request.method}`);
  for (const [head, uses] of groups) {
    const [namespace = "", method = ""] = head.split("\n");
    for (const list of valueLists(uses.map(({ request }) => idOf(request)))) {
      const found = await session.query(
        `SELECT request_id, body_hash, result_id, expire_us FROM requests
          WHERE namespace = ? AND method = ? AND request_id IN (${list.sql})
          ORDER BY namespace, method, request_id${session.dialect.forUpdate}`,
        [namespace, method, ...list.values],
      );
      for (const row of found) rows.set(`${head}\n${idText(row)}`, row);
    }
  }
  return rows;
}

function keyOf(request: RequestClaim): [string, string, Uint8Array] {
  return [request.namespace, request.method, idOf(request)];
}

/** request_id is free text and a key: it is stored as bytes, as collations take "a" and "a " for one. */
function idOf(request: RequestClaim): Uint8Array {
  return Buffer.from(request.requestId);
}

function idText(row: Row): string {
  const value = row.request_id;
  assert(value instanceof Uint8Array, "request_id is not bytes");
  return Buffer.from(value).toString();
}

/** What a request made that is not forgotten yet; null when it is not known. */
export function findRequest(db: SqlDatabase, request: RequestClaim): Promise<RequestVerdict | null> {
  return db.read("requests.find", (session) => readRequest(session, request));
}

async function readRequest(session: SqlSession, request: RequestClaim): Promise<RequestVerdict | null> {
  const nowUs = await session.nowUs();
  const [row] = await session.query(
    `SELECT body_hash, result_id FROM requests
      WHERE namespace = ? AND method = ? AND request_id = ? AND expire_us > ?`,
    [...keyOf(request), nowUs],
  );
  if (row === undefined) return null;
  if (text(row, "body_hash") !== request.bodyHash) return { kind: "reused" };
  return { kind: "repeated", resultId: text(row, "result_id") };
}

/** Namespaces that a request is looked for in when its own is not known. */
export const MAX_SEARCHED_NAMESPACES = 1_000;

/**
 * What a request with this body made in whatever namespace; null when none did. The key begins with the namespace: the
 * namespaces are one loose scan of it, however many requests they have, and all are then looked up together.
 */
export function findRequestAnywhere(db: SqlDatabase, request: RequestClaim): Promise<string | null> {
  return db.read("requests.find_anywhere", async (session) => {
    const nowUs = await session.nowUs();
    for (const list of valueLists(await namespacesOf(session, "requests", MAX_SEARCHED_NAMESPACES))) {
      const [row] = await session.query(
        `SELECT result_id FROM requests
          WHERE namespace IN (${list.sql}) AND method = ? AND request_id = ? AND body_hash = ? AND expire_us > ?
          ORDER BY namespace LIMIT 1`,
        [...list.values, request.method, idOf(request), request.bodyHash, nowUs],
      );
      if (row !== undefined) return text(row, "result_id");
    }
    return null;
  });
}

/** Forgets up to `limit` requests that have expired; a repeat of one makes a new execution. */
export function pruneRequests(db: SqlDatabase, limit: number): Promise<number> {
  return db.transact("requests.prune", async (session) => {
    const nowUs = await session.nowUs();
    return await session.execute(session.dialect.deleteSome("requests", "expire_us <= ?", limit), [nowUs]);
  });
}
