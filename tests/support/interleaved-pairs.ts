/** Two sides on one database of a real server, which run two kinds of transactions against each other. */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { SqlExecutionStore } from "../../services/common/adapter/sql/executions.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { type Backends, createDatabase, startBackends } from "./backends.ts";
import { checkWorld, SeenCommits } from "./interleaved-checks.ts";
import { type Kind, kinds, storesOn } from "./interleaved-kinds.ts";
import type { TargetState, WorldNeeds } from "./interleaved-needs.ts";
import { InterleavedSide } from "./interleaved-side.ts";
import { InterleavedWorld, type WorldStore } from "./interleaved-world.ts";
import { type InterleavedWork, type InterleavingCount, Interleavings } from "./interleavings.ts";
import { opened, type TestDatabase } from "./store.ts";

/** What a file of interleavings works with, opened before its tests and closed after them. */
export class InterleavedPairs {
  #backends: Backends | null = null;
  #database: TestDatabase | null = null;
  #sides: readonly [InterleavedSide, InterleavedSide] | null = null;

  constructor() {
    before(() => this.#open());
    after(() => this.#close());
  }

  get database(): TestDatabase {
    return this.#database ?? assert.fail("not open");
  }

  get sides(): readonly [InterleavedSide, InterleavedSide] {
    return this.#sides ?? assert.fail("not open");
  }

  /** Runs two kinds in every order of their statements. */
  run(first: Kind, second: Kind): Promise<InterleavingCount> {
    return this.runWork(() => this.#workOf(first, second));
  }

  /** Runs what `prepare` makes in every order of its statements. */
  runWork(prepare: () => Promise<InterleavedWork>): Promise<InterleavingCount> {
    return new Interleavings(this.database.database, this.sides).run(prepare);
  }

  async #open(): Promise<void> {
    this.#backends = await startBackends({ mysql: true });
    const { url, drop } = await createDatabase(this.#backends.mysqlUrl);
    this.#database = await opened(url, {}, drop);
    this.#sides = [await InterleavedSide.open(this.#database), await InterleavedSide.open(this.#database)];
  }

  async #close(): Promise<void> {
    for (const side of this.#sides ?? []) await side.close();
    await this.#database?.close();
    await this.#backends?.stop();
  }

  async #workOf(first: Kind, second: Kind): Promise<InterleavedWork> {
    const world = await InterleavedWorld.make(storeOf(this.database), needsOf(first, second));
    const seen = new SeenCommits(world);
    await seen.look();
    const actOf = (kind: Kind, side: InterleavedSide) => () => kind.act(storesOn(side.database), world);
    return {
      work: [actOf(first, this.sides[0]), actOf(second, this.sides[1])],
      committed: () => seen.look(),
      check: (answers) => checkWorld(world, seen, answers),
    };
  }
}

/** The kind of a name. */
export function kindNamed(name: string): Kind {
  return kinds.find((kind) => kind.name === name) ?? assert.fail(`no kind ${name}`);
}

function storeOf({ database, sql }: TestDatabase): WorldStore {
  const store = new SqlExecutionStore({ database, random: new SystemRandom(), clock: new SystemClock() });
  return { store, database, sql, rows: (text, ...params) => sql((session) => session.query(text, params)) };
}

/** Kinds that need an execution, whatever its state. */
const NEEDY = new Set(["stop", "expire"]);
/** States of executions that have an attempt. */
const TRIED: readonly TargetState[] = ["running", "retry", "held", "back", "ended"];

/** The rows that two kinds meet at. */
function needsOf(first: Kind, second: Kind): WorldNeeds {
  const both = [first, second];
  const targets = new Set<TargetState>(both.flatMap(({ target }) => (target === null ? [] : [target])));
  if (both.some(({ name }) => name === "output") && !TRIED.some((state) => targets.has(state))) targets.add("running");
  if (both.some(({ name }) => NEEDY.has(name)) && targets.size === 0) targets.add("ready");
  return {
    targets,
    hasKey: both.some(({ hasKey }) => hasKey === true),
    isAhead: both.some(({ isAhead }) => isAhead === true),
    isPast: both.some(({ isPast }) => isPast === true),
    isJobGone: both.some(({ isJobGone }) => isJobGone === true) && !both.some(({ isOfJob }) => isOfJob === true),
  };
}
