/**
 * The store of a simulated mesh: the real SQLite in memory, and each process's
 * connection to it. A transaction travels there, runs, and its answer travels
 * back, each an event; so a process can die between any two, before the commit
 * or after it. Triggers tell the judges of every row that a commit has changed.
 */

import type { SqlDatabase, SqlSession } from "../../services/common/adapter/sql/session.ts";
import { SqlStore } from "../../services/common/adapter/sql/sql-store.ts";
import { CommitUnknown } from "../../services/common/adapter/sql/store-fault.ts";
import { SqliteDatabase } from "../../services/common/adapter/sqlite/database.ts";
import { sqliteDialect } from "../../services/common/adapter/sqlite/dialect.ts";
import { SqliteBusy } from "../../services/common/adapter/sqlite/fault.ts";
import type { SqliteHandle, SqliteStatement } from "../../services/common/adapter/sqlite/handle.ts";
import { openMemory } from "../../services/common/adapter/sqlite/migrate.ts";
import type { Schedule } from "../../services/common/domain/schedule/schedule.ts";
import type { Random } from "../../services/common/port/random.ts";
import { type Store, StoreUnavailable } from "../../services/common/port/store.ts";
import type { Network } from "./network.ts";
import type { SimProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";
import { type ChangedRow, type RowChange, watchRows } from "./row-changes.ts";
import type { Place } from "./stream.ts";

/** Machine name. */
export const STORE = "store";
/** A text that this store does not take in a row of job_logs, as MySQL does not take what is no UTF-8. */
export const UNSTORABLE = "no store takes this";
/** A store that hangs is given up by its client after so long, as by the MySQL adapter's limits. */
const HANG_MS = 2_000;

/** Part of reads whose answer travels, so that others change what was read meanwhile. */
const STALE_SHARE = 0.2;

/** How badly the store behaves: parts of transactions, 0 to 1, and times in milliseconds. */
export type StoreFaults = {
  /** The connection breaks before, or at one of the statements: nothing is changed. */
  breaks: number;
  /** It breaks in COMMIT: half of them stand. */
  unknown: number;
  /** One statement is a deadlock's victim; the adapter runs the transaction again. */
  deadlocks: number;
  /** The process dies at one of its statements, or after the commit, before it hears of it. */
  kills: number;
  /** Each transaction takes up to this much longer. */
  slowMs: number;
};

/** Who is told. */
export type StoreEvents = {
  /** A transaction of a process has committed these changes. */
  committed(process: string, name: string, changes: readonly RowChange[]): void;
  /** A process dies in the middle of a transaction. */
  kill(process: SimProcess, why: string): void;
};

/** What is to happen to the transaction that runs now. */
type Fate = {
  readonly process: SimProcess;
  /** At this statement, counted from 1 with BEGIN. */
  at: number;
  readonly how: "break" | "deadlock" | "kill" | "none";
};

/** SimStore is the database server. */
export class SimStore {
  readonly faults: StoreFaults = { breaks: 0, unknown: 0, deadlocks: 0, kills: 0, slowMs: 0 };
  /** Connections are refused. */
  isAway = false;
  /** Nothing is answered. */
  isHanging = false;
  readonly #clock: SimProcess;
  readonly #network: Network;
  readonly #random: SeededRandom;
  readonly #events: StoreEvents;
  readonly #database: SqliteDatabase;
  readonly #handle: SqliteHandle;
  /** Statements of the judges, which ask the same at every step. */
  readonly #judging = new Map<string, SqliteStatement>();
  #fate: Fate | null = null;
  #changes: RowChange[] = [];

  private constructor(
    handle: SqliteHandle,
    clock: SimProcess,
    network: Network,
    random: SeededRandom,
    events: StoreEvents,
  ) {
    this.#handle = handle;
    this.#clock = clock;
    this.#network = network;
    this.#random = random;
    this.#events = events;
    this.#database = new SqliteDatabase({ handle, clock, onStatement: (_name, sql) => this.#statement(sql) });
  }

  /** A new empty store, whose clock is mesh time. */
  static async open(clock: SimProcess, network: Network, random: SeededRandom, events: StoreEvents): Promise<SimStore> {
    const handle = await openMemory();
    const store = new SimStore(handle, clock, network, random, events);
    watchRows(handle, (change) => void store.#changes.push(change));
    handle.exec(`
      CREATE TEMP TRIGGER sim_refuse BEFORE INSERT ON main.job_logs
        WHEN instr(NEW.output, '${UNSTORABLE}') + instr(NEW.error, '${UNSTORABLE}') > 0
        BEGIN SELECT RAISE(ABORT, 'a text that is not taken'); END;`);
    return store;
  }

  /** A process's own Store over its connection. */
  async connect(place: Place, random: Random): Promise<Store> {
    const database = new Connection(this, place);
    const open = async () => ({ database, close: async () => {} });
    const store = new SqlStore({ kind: "sqlite", clock: place.process, random, open });
    await store.start();
    return store;
  }

  /** Reads for the judges, past all faults. */
  rows(sql: string, ...params: readonly (string | number)[]): readonly ChangedRow[] {
    // As SqliteDatabase: a parameter as an expression is not looked at for the plan.
    const statement = this.#judging.get(sql) ?? this.#handle.prepare(sql.replaceAll("?", "+?"));
    this.#judging.set(sql, statement);
    return statement.all(params) as ChangedRow[];
  }

  /** The store's clock now. */
  nowUs(): number {
    return this.#clock.wallUs();
  }

  /** Time between two fires of a job with a regular schedule; null for another. */
  periodUs(jobUid: string): number | null {
    const [row] = this.rows("SELECT schedule FROM jobs WHERE job_uid = ?", jobUid);
    if (row === undefined || typeof row.schedule !== "string") return null;
    return periodOf(JSON.parse(row.schedule) as Schedule);
  }

  close(): void {
    this.#handle.close();
  }

  /** A transaction of a process, from its first statement to its answer. */
  run<T>(
    place: Place,
    kind: "transact" | "transactOne" | "read",
    name: string,
    body: (session: SqlSession) => Promise<T>,
  ): Promise<T> {
    const { process, machine } = place;
    const network = this.#network;
    return new Promise<T>((resolve, reject) => {
      const answer = (delayMs: number, settle: () => void): void => process.deliver(delayMs, settle);
      const refuse = (delayMs: number, why: string): void => answer(delayMs, () => reject(new StoreUnavailable(why)));
      if (this.isAway) return refuse(network.latencyMs(), "the connection was refused");
      if (this.isHanging || network.isBlocked(machine, STORE)) return refuse(HANG_MS, "the store did not answer");
      const thereMs = network.latencyMs() + this.#random.unit() * this.faults.slowMs;
      answer(thereMs, () => {
        if (this.isAway || this.isHanging) return refuse(network.latencyMs(), "the connection was lost");
        const fate = this.#draw(process);
        const isUnknown = kind !== "read" && this.#random.chance(this.faults.unknown);
        const back = (settle: () => void): void => {
          if (network.isBlocked(STORE, machine)) refuse(HANG_MS, "the answer was lost");
          else answer(network.latencyMs(), settle);
        };
        const isUndone = isUnknown && this.#random.chance(0.5);
        this.#fate = fate;
        this.#changes = [];
        this.#database[kind](name, isUndone ? undoing(body) : body).then(
          (value) => {
            this.#committed(process, name);
            if (isUnknown || (kind !== "read" && network.isBlocked(STORE, machine))) {
              return answer(network.latencyMs(), () => reject(new CommitUnknown("the connection was lost in COMMIT")));
            }
            if (fate.how === "kill") return this.#events.kill(process, `after ${name}`);
            // What was read is mostly used at once; sometimes it is old by then.
            if (kind === "read" && !this.#random.chance(STALE_SHARE)) return resolve(value);
            back(() => resolve(value));
          },
          (error: unknown) => {
            this.#fate = null;
            if (fate.how === "kill" && process.isAlive) this.#events.kill(process, `in ${name}`);
            back(() => reject(error));
          },
        );
      });
    });
  }

  #draw(process: SimProcess): Fate {
    const { breaks, deadlocks, kills } = this.faults;
    const drawn = this.#random.unit();
    const at = 1 + this.#random.below(8);
    if (drawn < breaks) return { process, at, how: "break" };
    if (drawn < breaks + deadlocks) return { process, at, how: "deadlock" };
    if (drawn < breaks + deadlocks + kills) return { process, at, how: "kill" };
    return { process, at: 0, how: "none" };
  }

  #statement(sql: string): void {
    const fate = this.#fate;
    if (sql === "BEGIN IMMEDIATE") this.#changes = [];
    if (fate === null || fate.how === "none" || sql === "ROLLBACK") return;
    fate.at--;
    if (fate.at !== 0) return;
    if (fate.how === "deadlock") throw new SqliteBusy("the victim of a deadlock");
    throw new StoreUnavailable("the connection was lost");
  }

  #committed(process: SimProcess, name: string): void {
    this.#fate = null;
    const changes = this.#changes;
    this.#changes = [];
    if (changes.length > 0) this.#events.committed(process.name, name, changes);
  }
}

/** All its statements have run, and none of it stands. */
function undoing<T>(body: (session: SqlSession) => Promise<T>): (session: SqlSession) => Promise<T> {
  return async (session) => {
    await body(session);
    throw new CommitUnknown("the connection was lost in COMMIT");
  };
}

/** Microseconds between two fires: an interval, or every so many seconds or minutes, which divide 60 in the load. */
function periodOf({ when }: Schedule): number | null {
  if (when.kind === "interval") return when.intervalMs * 1_000;
  if (when.kind !== "cron") return null;
  const [expression = ""] = when.expressions;
  const seconds = /^\*\/(\d) \* \* \* \* \*$/.exec(expression)?.[1];
  const minutes = /^0 \*\/(\d) \* \* \* \*$/.exec(expression)?.[1];
  if (seconds !== undefined) return Number(seconds) * 1_000_000;
  return minutes === undefined ? null : Number(minutes) * 60_000_000;
}

/** A process's connection. */
class Connection implements SqlDatabase {
  readonly #store: SimStore;
  readonly #place: Place;

  constructor(store: SimStore, place: Place) {
    this.#store = store;
    this.#place = place;
  }

  get dialect(): SqlDatabase["dialect"] {
    return sqliteDialect;
  }

  transact<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#store.run(this.#place, "transact", name, body);
  }

  transactOne<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#store.run(this.#place, "transactOne", name, body);
  }

  read<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#store.run(this.#place, "read", name, body);
  }
}
