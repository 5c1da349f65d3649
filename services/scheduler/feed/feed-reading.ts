import { type Execution, isFinal } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { EndedPlace } from "../../common/port/store-retention.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import { type ChangeLimits, RecentChanges } from "./recent-changes.ts";
import { placeAt } from "./resume-token.ts";
import { SeenEnds } from "./seen-ends.ts";

/**
 * Rule 34: the one reader of the ends for all watchers of a scheduler. An end
 * may be committed up to `settleUs` after its ended_time, so each is read
 * twice: at once, by hints and each 250 ms from a second before where the last
 * look ended; and once more `settleUs` behind, which gives what the first did
 * not. On SQLite, where `settleUs` is that second, the two are one. The place
 * behind which nothing can appear any more is what resume tokens name; it moves
 * only after everything before it has been passed on.
 *
 * What retention deletes before it was passed on, because the store could not
 * be read for long, is told by nobody: the changes are cut there, and the
 * watchers find out from the store that their place is out of range. While
 * little happens the place alone is a change now and then, so that the tokens
 * of quiet watchers do not age.
 *
 * A hint names an execution that is read; it moves no place, as hints may be
 * lost.
 */

/** Between two looks at the store. */
const LOOK_INTERVAL_MS = 250;
/** The first look goes back so far from where the last one ended. */
const OVERLAP_US = 1_000_000;
/** The place moves so far before it is told by itself. */
const PLACE_INTERVAL_US = 10_000_000;
/** Places read in one query; by an index alone. */
const MAX_PLACES = 5_000;
/** Executions read in one query. */
const MAX_ROWS = 500;
/** Hinted executions that wait to be read; more are left to the next look. */
const MAX_HINTED = 10_000;

/** What a FeedReading is given. */
export type FeedReadingDeps = {
  readonly store: Store;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
  /** The executions with the reasons why they wait: asked here once, and not by each watcher. */
  readonly explain: (store: Store, executions: readonly Execution[]) => Promise<readonly Execution[]>;
};

/** FeedReading reads while somebody watches: from `start` on until `stop`. */
export class FeedReading {
  readonly changes: RecentChanges;
  readonly #deps: FeedReadingDeps;
  readonly #loop: WakeableLoop;
  readonly #seen = new SeenEnds();
  readonly #hinted = new Set<ExecutionId>();
  readonly #primed = Promise.withResolvers<void>();
  #unlisten: readonly (() => void)[] = [];
  /** Where the last first look ended, by the store's clock; null before the first. */
  #frontierUs: number | null = null;
  #settled: EndedPlace = placeAt(0);
  /** The place that was told by itself last. */
  #toldUs = 0;
  /** Up to here ends were deleted when this was seen last. */
  #deletedUs = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(deps: FeedReadingDeps, limits: Partial<ChangeLimits> = {}) {
    this.#deps = deps;
    this.changes = new RecentChanges(limits);
    const run = (signal: AbortSignal) => this.runOnce(signal);
    this.#loop = new WakeableLoop(deps.clock, deps.log, { name: "feed", intervalMs: LOOK_INTERVAL_MS, run });
  }

  /** Resolves when it knows what had ended before: every end that appears from then on is a change. */
  get primed(): Promise<void> {
    return this.#primed.promise;
  }

  /** Everything that ended up to here is among the changes, or had ended before. */
  get settled(): EndedPlace {
    return this.#settled;
  }

  start(): void {
    const hear = (executionId: ExecutionId): void => {
      if (this.#hinted.size < MAX_HINTED) this.#hinted.add(executionId);
      this.#loop.wake();
    };
    const { hints } = this.#deps;
    this.#unlisten = [
      hints.on("ended", (hint) => hear(hint.executionId)),
      hints.on("moved", (hint) => {
        for (const executionId of hint.executionIds) hear(executionId);
      }),
    ];
    this.#loop.start();
  }

  async stop(): Promise<void> {
    for (const unlisten of this.#unlisten) unlisten();
    await this.#loop.stop();
  }

  /** Reads what was hinted, and looks at the store when it is time; true when more is hinted by then. */
  async runOnce(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#deps;
    if (this.#frontierUs === null) await this.#prime(signal);
    await this.#readHinted();
    if (clock.monotonicMs() - this.#lookedMs >= LOOK_INTERVAL_MS) await this.#look(signal);
    return this.#hinted.size > 0;
  }

  /** What ended in the time in which more may appear is known, and told nobody. */
  async #prime(signal: AbortSignal): Promise<void> {
    const { store } = this.#deps;
    const start = placeAt((await store.nowUs()) - store.feed.settleUs);
    let frontierUs: number | null = null;
    for await (const page of this.#pages(start, null, signal)) {
      frontierUs ??= page.nowUs;
      for (const place of page.places) this.#seen.add(place);
      this.#deletedUs = page.deletedUs;
    }
    if (frontierUs === null) return;
    this.#settled = start;
    this.#toldUs = start.endedUs;
    this.#frontierUs = frontierUs;
    this.#primed.resolve();
  }

  async #readHinted(): Promise<void> {
    const ids = [...this.#hinted].slice(0, MAX_ROWS);
    if (ids.length === 0) return;
    for (const id of ids) this.#hinted.delete(id);
    const { store, explain } = this.#deps;
    for (const execution of await explain(store, await store.feed.read(ids, false))) {
      const { endedUs, executionId } = execution;
      // What ended long ago is read again by nobody, and so remembered by nobody: the hint is late.
      if (endedUs !== null && endedUs < this.#settled.endedUs) continue;
      if (endedUs !== null && !this.#seen.add({ endedUs, executionId })) continue;
      this.changes.push(execution, this.#settled);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#deps;
    const startMs = clock.monotonicMs();
    const { settleUs } = store.feed;
    const settledUs = this.#settled.endedUs;
    const firstUs = Math.max((this.#frontierUs ?? 0) - OVERLAP_US, settledUs);
    const nowUs = await this.#passOn(placeAt(firstUs), null, signal);
    if (nowUs === null) return;
    if (nowUs < (this.#frontierUs ?? 0) - OVERLAP_US) return this.#goBack(nowUs);
    this.#frontierUs = Math.max(this.#frontierUs ?? 0, nowUs);
    const behindUs = nowUs - settleUs;
    if (behindUs > settledUs) {
      if (firstUs > settledUs && (await this.#passOn(this.#settled, behindUs, signal)) === null) return;
      this.#settled = placeAt(behindUs);
      this.#seen.forgetBefore(behindUs);
      this.#tellPlace();
    }
    this.#lookedMs = startMs;
  }

  #tellPlace(): void {
    if (this.#settled.endedUs - this.#toldUs < PLACE_INTERVAL_US) return;
    this.#toldUs = this.#settled.endedUs;
    this.changes.push(null, this.#settled);
  }

  /** The store's clock was set back: what ends now has an earlier time, so the next look, due at once, begins there. */
  #goBack(nowUs: number): void {
    this.#frontierUs = nowUs;
    const behindUs = nowUs - this.#deps.store.feed.settleUs;
    if (behindUs < this.#settled.endedUs) this.#settled = placeAt(behindUs);
    this.#toldUs = Math.min(this.#toldUs, this.#settled.endedUs);
    this.#lookedMs = Number.NEGATIVE_INFINITY;
    this.#loop.wake();
  }

  /** Passes on what ended after a place and is new; answers the store's clock before it was read, null when aborted. */
  async #passOn(after: EndedPlace, untilUs: number | null, signal: AbortSignal): Promise<number | null> {
    let firstUs: number | null = null;
    for await (const page of this.#pages(after, untilUs, signal)) {
      firstUs ??= page.nowUs;
      this.#notice(page.deletedUs);
      const ids = page.places.filter((place) => !this.#seen.has(place)).map(({ executionId }) => executionId);
      for (let from = 0; from < ids.length; from += MAX_ROWS) {
        const part = ids.slice(from, from + MAX_ROWS);
        const executions = await this.#deps.store.feed.read(part, false);
        // Deleted between its place and itself.
        if (executions.length < part.length) this.changes.cut();
        for (const execution of executions) {
          const { endedUs, executionId, state } = execution;
          if (endedUs === null || !isFinal(state)) continue;
          if (this.#seen.add({ endedUs, executionId })) this.changes.push(execution, this.#settled);
        }
      }
    }
    return signal.aborted ? null : firstUs;
  }

  /** Everything up to the place was passed on before it could be deleted; of what came after it nobody knows. */
  #notice(deletedUs: number): void {
    if (deletedUs <= this.#deletedUs) return;
    this.#deletedUs = deletedUs;
    if (deletedUs >= this.#settled.endedUs) this.changes.cut();
  }

  async *#pages(after: EndedPlace, untilUs: number | null, signal: AbortSignal) {
    for (let place = after; !signal.aborted; ) {
      const page = await this.#deps.store.feed.ended(place, untilUs, MAX_PLACES);
      yield page;
      const last = page.places.at(-1);
      if (last === undefined || page.places.length < MAX_PLACES) return;
      place = last;
    }
  }
}
