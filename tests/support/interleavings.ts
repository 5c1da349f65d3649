/**
 * Every order of the statements of two transactions, but those that are provably the same.
 *
 * Each run starts from the same rows and follows one order: at each step one of the sides that wait before a statement
 * is let go, until it waits before its next one, is done, or waits for a lock. The last is asked of the server
 * (`SHOW ENGINE INNODB STATUS`, which is not cached), never guessed from time; the other side then goes on.
 *
 * After a run, each pair of its statements that depend on each other is a race: the other side is also to be tried
 * first there (dynamic partial order reduction, with all races rather than the last, and sleep sets, so that of the
 * orders that are the same one is run). What is tried is a tree of choices, walked depth first.
 */
import assert from "node:assert/strict";
import type { SqlDatabase } from "../../services/common/adapter/sql/session.ts";
import type { InterleavedSide } from "./interleaved-side.ts";
import { depends, type StatementEffect } from "./interleaved-statement.ts";

/** Orders of one pair; more are a mistake of the test. */
const MAX_ORDERS = 3_000;

/** What two sides do at the same time, made anew for each order. */
export type InterleavedWork = {
  readonly work: readonly [() => Promise<unknown>, () => Promise<unknown>];
  /** Called after each COMMIT. */
  committed(): Promise<void>;
  /** Called when both are done, with what each answered. */
  check(answers: readonly [unknown, unknown]): Promise<void>;
};

/** What was run. */
export type InterleavingCount = { orders: number; reruns: number; waits: number };

type Choice = 0 | 1;
type Waiting = readonly [StatementEffect | null, StatementEffect | null];
/** A place in the tree of choices. */
type Place = {
  readonly waiting: Waiting;
  chosen: Choice;
  readonly tried: Set<Choice>;
  readonly wanted: Set<Choice>;
  readonly asleep: ReadonlySet<Choice>;
};
type Step = { readonly side: Choice; readonly effect: StatementEffect; readonly place: Place };

const BOTH: readonly Choice[] = [0, 1];

/** Interleavings runs two sides in every order. */
export class Interleavings {
  readonly #looker: SqlDatabase;
  readonly #sides: readonly [InterleavedSide, InterleavedSide];

  /** @param looker asks the server who waits, on a connection of its own */
  constructor(looker: SqlDatabase, sides: readonly [InterleavedSide, InterleavedSide]) {
    this.#looker = looker;
    this.#sides = sides;
  }

  /** Runs what `prepare` makes in every order. */
  async run(prepare: () => Promise<InterleavedWork>): Promise<InterleavingCount> {
    const count: InterleavingCount = { orders: 0, reruns: 0, waits: 0 };
    const places: Place[] = [];
    do {
      assert.ok(count.orders < MAX_ORDERS, "too many orders");
      await this.#runOne(await prepare(), places, count);
    } while (nextOrder(places));
    return count;
  }

  async #runOne(work: InterleavedWork, places: Place[], count: InterleavingCount): Promise<void> {
    const known = places.length;
    const steps: Step[] = [];
    const running = Promise.allSettled(BOTH.map((side) => this.#sides[side].run(work.work[side])));
    let isSame = false;
    for (let depth = 0; ; depth++) {
      await this.#settle(count);
      if (steps.at(-1)?.effect.text === "COMMIT") await work.committed();
      const waiting: Waiting = [this.#sides[0].next, this.#sides[1].next];
      if (waiting[0] === null && waiting[1] === null) break;
      let place = places[depth];
      if (place === undefined) {
        place = newPlace(waiting, steps.at(-1)?.place);
        isSame ||= place.asleep.has(place.chosen);
        if (!isSame) places.push(place);
      }
      const { chosen } = place;
      const effect = waiting[chosen];
      assert.ok(effect !== null && (depth >= known || effect.text === place.waiting[chosen]?.text), "runs differ");
      steps.push({ side: chosen, effect, place });
      this.#sides[chosen].go();
    }
    const ends = await running;
    const order = () =>
      steps
        .map(({ side, effect }) => `  ${"AB"[side]} ${effect.text.replaceAll(/\s+/g, " ").slice(0, 150)}`)
        .join("\n");
    const answers = ends.map((end, side) => {
      if (end.status === "rejected")
        throw new Error(`${"AB"[side]} failed in the order\n${order()}`, { cause: end.reason });
      return end.value as unknown;
    });
    try {
      await work.check([answers[0], answers[1]]);
    } catch (error) {
      throw new Error(
        `${error instanceof Error ? error.message : String(error)}\nin the order\n${order()}\nwith the answers ${show(answers)}`,
        { cause: error },
      );
    }
    if (!isSame) noteRaces(steps);
    if (!isSame) count.orders += 1;
    count.reruns += this.#sides[0].reruns + this.#sides[1].reruns;
  }

  /** Until each side waits before a statement, is done, or waits for a lock that the other one holds. */
  async #settle(count: InterleavingCount): Promise<void> {
    for (;;) {
      const moving = this.#sides.filter((side) => side.isMoving);
      if (moving.length === 0) return;
      const blocked = await this.#blocked();
      const isStuck = moving.every((side) => side.isMoving && side.thread !== null && blocked.has(side.thread));
      if (isStuck && this.#sides.some(({ next }) => next !== null)) {
        count.waits += 1;
        return;
      }
    }
  }

  /** Connections that wait for a lock. */
  async #blocked(): Promise<ReadonlySet<number>> {
    const [row] = await this.#looker.read("look", (session) => session.query("SHOW ENGINE INNODB STATUS"));
    const blocked = new Set<number>();
    for (const one of String(row?.Status).split("---TRANSACTION ").slice(1)) {
      const thread = /(?:MariaDB|MySQL) thread id (\d+)/.exec(one)?.[1];
      if (thread !== undefined && /^LOCK WAIT/m.test(one)) blocked.add(Number(thread));
    }
    return blocked;
  }
}

function newPlace(waiting: Waiting, before: Place | undefined): Place {
  const asleep = new Set<Choice>();
  const done = before?.waiting[before.chosen];
  for (const side of BOTH) {
    if (before === undefined || done == null || side === before.chosen) continue;
    const stays = before.waiting[side];
    const slept = before.asleep.has(side) || before.tried.has(side);
    if (slept && stays != null && waiting[side] !== null && !depends(stays, done)) asleep.add(side);
  }
  const open = BOTH.filter((side) => waiting[side] !== null);
  const chosen = open.find((side) => !asleep.has(side)) ?? open[0] ?? 0;
  return { waiting, chosen, tried: new Set(), wanted: new Set([chosen]), asleep };
}

/** Wherever two statements depend on each other, the side of the later one is to go first, too. */
function noteRaces(steps: readonly Step[]): void {
  for (const [at, later] of steps.entries()) {
    for (const earlier of steps.slice(0, at)) {
      if (earlier.side === later.side || !depends(earlier.effect, later.effect)) continue;
      if (earlier.place.waiting[later.side] !== null) earlier.place.wanted.add(later.side);
    }
  }
}

/** Turns to the next order: the deepest place that has a choice left. False when there is none. */
function nextOrder(places: Place[]): boolean {
  for (let place = places.at(-1); place !== undefined; places.pop(), place = places.at(-1)) {
    const { tried, wanted, asleep } = place;
    tried.add(place.chosen);
    const next = BOTH.find((side) => wanted.has(side) && !tried.has(side) && !asleep.has(side));
    if (next === undefined) continue;
    place.chosen = next;
    return true;
  }
  return false;
}

function show(answers: readonly unknown[]): string {
  return JSON.stringify(answers, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value))?.slice(
    0,
    2_000,
  );
}
