import type { Clock } from "../../port/clock.ts";
import type { StoreCounts } from "../../port/store.ts";
import { int, intOrNull, text } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession, SqlValue } from "./session.ts";

/** Counts are this old at most. */
const MAX_AGE_MS = 2_000;
/** Nothing is counted beyond this: the number then means "at least". */
export const MAX_COUNTED = 100_000;
/** Heads of the queue that are looked at for the oldest one. */
const MAX_HEADS = 1_000;

/** Rule 8: counts for people are sampled: however many ask, the store is asked once in two seconds, by index and with a bound. */
export class SampledCounts {
  readonly #database: SqlDatabase;
  readonly #clock: Clock;
  #sample: Promise<StoreCounts> | undefined;
  #sampledMs = 0;

  constructor(database: SqlDatabase, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  get(): Promise<StoreCounts> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#sample === undefined || nowMs - this.#sampledMs >= MAX_AGE_MS) {
      this.#sampledMs = nowMs;
      const sample = this.#database.read("counts", countAll);
      this.#sample = sample;
      // A failed sample is nobody's answer but of those who wait for it.
      sample.catch(() => {
        if (this.#sample === sample) this.#sample = undefined;
      });
    }
    return this.#sample;
  }
}

async function countAll(session: SqlSession): Promise<StoreCounts> {
  const claimable = await count(session, "executions", "claim_route IS NOT NULL");
  const atGates = await count(session, "executions", "waiting_gate IS NOT NULL");
  const oldest = [await oldestOf(session, "claim_route"), await oldestOf(session, "waiting_gate")].filter(
    (readyUs) => readyUs !== null,
  );
  return {
    jobs: await count(session, "jobs", "1 = 1"),
    scheduled: await count(session, "executions", "timer_shard IS NOT NULL"),
    ready: claimable + atGates,
    running: await count(session, "executions", "active_executor IS NOT NULL"),
    oldestReadyUs: oldest.length === 0 ? null : Math.min(...oldest),
  };
}

/** READY executions up to a limit. */
export function countReady(db: SqlDatabase, limit: number): Promise<number> {
  return db.read("count_ready", async (session) => {
    const claimable = await count(session, "executions", "claim_route IS NOT NULL", limit);
    if (claimable >= limit) return claimable;
    return claimable + (await count(session, "executions", "waiting_gate IS NOT NULL", limit - claimable));
  });
}

async function count(session: SqlSession, table: string, where: string, most = MAX_COUNTED): Promise<number> {
  const [row] = await session.query(
    `SELECT COUNT(*) AS found FROM (SELECT 1 FROM ${table} WHERE ${where} LIMIT ${most}) AS some`,
  );
  return row === undefined ? 0 : int(row, "found");
}

/**
 * The smallest ready_us, by jumping from head to head of an index (queue,
 * claim_rank, ready_us): as many steps as there are queues and ranks, not rows.
 */
async function oldestOf(session: SqlSession, queue: "claim_route" | "waiting_gate"): Promise<number | null> {
  const columns = `CAST(${queue} AS CHAR) AS queue, claim_rank, ready_us`;
  const order = `ORDER BY ${queue}, claim_rank, ready_us LIMIT 1`;
  const from = `SELECT ${columns} FROM executions WHERE ${queue}`;
  let oldest: number | null = null;
  let [head]: readonly Row[] = await session.query(`${from} IS NOT NULL ${order}`);
  for (let heads = 1; head !== undefined && heads < MAX_HEADS; heads++) {
    const readyUs = intOrNull(head, "ready_us");
    if (readyUs !== null) oldest = Math.min(oldest ?? readyUs, readyUs);
    const place = placeOf(queue, head);
    const rank = int(head, "claim_rank");
    [head] = await session.query(`${from} = ? AND claim_rank > ? ${order}`, [place, rank]);
    if (head === undefined) [head] = await session.query(`${from} > ? ${order}`, [place]);
  }
  return oldest;
}

function placeOf(queue: "claim_route" | "waiting_gate", head: Row): SqlValue {
  return queue === "claim_route" ? BigInt(text(head, "queue")) : text(head, "queue");
}
