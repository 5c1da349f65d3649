import { assert } from "../../domain/assert.ts";
import type { ExecutorRecord } from "../../domain/executor.ts";
import type { RegisterOutcome, Registration } from "../../port/store-executors.ts";
import { EXECUTOR_COLUMNS, executorOf, profileText } from "./executor-row.ts";
import { insertRows } from "./many-rows.ts";
import type { SqlSession } from "./session.ts";
import type { Undo } from "./undo.ts";

/**
 * Hello against the store. Rule 16: an incarnation that is lost or has left
 * never comes back. Rule 20: each Hello has a higher session_number, compared
 * and set here. Rule 23: while another incarnation of the executor_id is alive
 * (neither lost nor left) this one is refused, unless it names that one as its
 * previous one, which is then lost at once, in the same transaction.
 *
 * A new row is inserted before the others are locked: two first Hellos at once
 * then find each other, or run into a deadlock and one of them runs again.
 */
export async function register(
  session: SqlSession,
  registration: Registration,
  undo: Undo<RegisterOutcome>,
): Promise<RegisterOutcome> {
  const { executorId, incarnation } = registration.profile;
  const nowUs = await session.nowUs();
  const known = await session.query("SELECT 1 FROM executors WHERE executor_id = ? AND incarnation = ?", [
    executorId,
    incarnation,
  ]);
  if (known.length === 0) await insertExecutor(session, registration, nowUs);
  const rows = await session.query(
    `SELECT ${EXECUTOR_COLUMNS.join(", ")} FROM executors WHERE executor_id = ?
      ORDER BY executor_id, incarnation${session.dialect.forUpdate}`,
    [executorId],
  );
  const all = rows.map(executorOf);
  const own = all.find((record) => record.incarnation === incarnation);
  assert(own !== undefined, "an executor is there after its insertion");
  if (!isAlive(own)) return { kind: "lost" };
  if (isStale(own, registration)) return { kind: "stale_session" };
  for (const other of all) {
    if (other === own || !isAlive(other)) continue;
    if (other.incarnation !== registration.previousIncarnation) {
      return undo({ kind: "taken", incarnation: other.incarnation });
    }
    await loseNow(session, other, nowUs);
  }
  await welcome(session, registration, nowUs);
  return { kind: "welcome" };
}

function isAlive(record: ExecutorRecord): boolean {
  return record.lostUs === null && record.leftUs === null;
}

/** The same number again is the same Hello only when the same home says it: its first answer was lost on the way. */
function isStale(own: ExecutorRecord, { sessionNumber, home }: Registration): boolean {
  if (own.sessionNumber === sessionNumber) return own.home !== home;
  return own.sessionNumber > sessionNumber;
}

async function insertExecutor(session: SqlSession, { profile, home, sessionNumber }: Registration, nowUs: number) {
  const row = {
    executor_id: profile.executorId,
    incarnation: profile.incarnation,
    session_number: sessionNumber,
    home,
    registered_us: nowUs,
    heard_us: nowUs,
    lost_us: null,
    left_us: null,
    slots: profile.slots,
    free_slots: profile.slots,
    profile: profileText(profile),
    draining: 0,
    cpu_load: 0,
    memory_bytes: 0,
  };
  await insertRows(session, "executors", Object.keys(row), [Object.values(row)], "executor_id");
}

async function loseNow(session: SqlSession, { executorId, incarnation }: ExecutorRecord, nowUs: number): Promise<void> {
  await session.execute("UPDATE executors SET lost_us = ? WHERE executor_id = ? AND incarnation = ?", [
    nowUs,
    executorId,
    incarnation,
  ]);
}

async function welcome(session: SqlSession, { profile, home, sessionNumber }: Registration, nowUs: number) {
  await session.execute(
    `UPDATE executors SET session_number = ?, home = ?, heard_us = ?, slots = ?, profile = ?
      WHERE executor_id = ? AND incarnation = ?`,
    [sessionNumber, home, nowUs, profile.slots, profileText(profile), profile.executorId, profile.incarnation],
  );
}
