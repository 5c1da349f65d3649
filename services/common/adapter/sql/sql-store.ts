import type { Clock } from "../../port/clock.ts";
import type { Random } from "../../port/random.ts";
import { type Store, type StoreCounts, StoreUnavailable } from "../../port/store.ts";
import { SampledCounts } from "./counts.ts";
import { SqlDescriptorStore } from "./descriptors.ts";
import { SqlExecutionStore } from "./executions.ts";
import { SqlExecutorStore } from "./executors.ts";
import { SqlFeedStore } from "./feed.ts";
import { SqlJobStore } from "./jobs.ts";
import { LateDatabase } from "./late-database.ts";
import { SqlOffsetStore } from "./offsets.ts";
import { SqlOutputStore } from "./output.ts";
import { SqlRetentionStore } from "./retention.ts";
import { SqlRouteStore } from "./routes.ts";
import type { SqlDatabase, StatementHook } from "./session.ts";

/** Whoever asks for the time is told so soon that the store is away. */
const NOW_TIMEOUT_MS = 1_000;

/** What a database works with. */
export type DatabaseDeps = {
  /** On SQLite it is mesh time; on MySQL it only bounds waits. */
  readonly clock: Clock;
  readonly random: Random;
  /** Called before each statement. For tests. */
  readonly onStatement?: StatementHook | undefined;
  /** Called when a transaction lost to another one and runs again, with its name. */
  readonly onRerun?: ((name: string) => void) | undefined;
  /** Zone of the times of a database that is adopted; UTC when unset. */
  readonly adoptTimeZone?: string | undefined;
};

/** A database that is connected and migrated. */
export type OpenedDatabase = {
  readonly database: SqlDatabase;
  /** Ends it; harmless when called again. */
  close(): Promise<void>;
};

/** What a SqlStore works with. */
export type SqlStoreDeps = {
  readonly kind: Store["kind"];
  readonly clock: Clock;
  readonly random: Random;
  /** Connects and migrates; called once by each `start`. */
  open(): Promise<OpenedDatabase>;
};

/** The Store on SQL: the parts share one database, which `start` opens. */
export class SqlStore implements Store {
  readonly kind: Store["kind"];
  readonly jobs: SqlJobStore;
  readonly executions: SqlExecutionStore;
  readonly executors: SqlExecutorStore;
  readonly routes: SqlRouteStore;
  readonly offsets: SqlOffsetStore;
  readonly output: SqlOutputStore;
  readonly descriptors: SqlDescriptorStore;
  readonly retention: SqlRetentionStore;
  readonly feed: SqlFeedStore;
  readonly #deps: SqlStoreDeps;
  readonly #database = new LateDatabase();
  readonly #counts: SampledCounts;
  #opening: Promise<OpenedDatabase> | undefined;

  constructor(deps: SqlStoreDeps) {
    const database = this.#database;
    this.#deps = deps;
    this.kind = deps.kind;
    this.jobs = new SqlJobStore(database);
    this.executions = new SqlExecutionStore({ database, random: deps.random, clock: deps.clock });
    this.executors = new SqlExecutorStore(database);
    this.routes = new SqlRouteStore(database);
    this.offsets = new SqlOffsetStore(database);
    this.output = new SqlOutputStore(database);
    this.descriptors = new SqlDescriptorStore(database);
    this.retention = new SqlRetentionStore(database);
    this.feed = new SqlFeedStore(database, deps.kind);
    this.#counts = new SampledCounts(database, deps.clock);
  }

  async start(): Promise<void> {
    this.#opening ??= this.#deps.open();
    const opening = this.#opening;
    try {
      this.#database.set((await opening).database);
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined;
      throw error;
    }
  }

  async stop(): Promise<void> {
    const opening = this.#opening;
    if (opening === undefined) return;
    this.#opening = undefined;
    this.#database.set(undefined);
    await (await opening).close();
  }

  async nowUs(): Promise<number> {
    const late = Promise.withResolvers<number>();
    const timer = this.#deps.clock.setTimer(NOW_TIMEOUT_MS, () =>
      late.reject(new StoreUnavailable(`the store did not tell the time within ${NOW_TIMEOUT_MS} ms`)),
    );
    try {
      return await Promise.race([this.#database.read("now", (session) => session.nowUs()), late.promise]);
    } finally {
      timer.cancel();
    }
  }

  counts(): Promise<StoreCounts> {
    return this.#counts.get();
  }
}
