import { type Execution, isFinal } from "../../common/domain/execution.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { SchedulerBus } from "../../common/port/bus.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { EndedPage } from "../../common/port/store-feed.ts";
import type { EndedPlace } from "../../common/port/store-retention.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import { placeAt } from "./resume-token.ts";
import { SeenEnds } from "./seen-ends.ts";

/**
 * Rule 34: every final state is written to execution.v1 at least once. The
 * store keeps a cursor, which stands where nothing more can appear and has been
 * moved only after Kafka had acknowledged all that ended before it. Whoever
 * owns the task reads from there: what ends now at once, from a second before
 * where the last look ended, and all of it once more when it has settled, which
 * gives what the first pass did not. So an owner that is killed leaves a cursor
 * behind which everything is written, and the next one writes some of what
 * follows a second time. Two owners at once are harmless: each moves the cursor
 * only from where it knows it, and only past what it has written itself.
 *
 * A Kafka that is away holds the cursor; nothing is kept for it in memory but
 * the one batch under way.
 */

/** Name of its cursor. */
export const EVENTS_CURSOR = "execution.v1";
/** Between two looks at the store. */
const LOOK_INTERVAL_MS = 250;
/** The first pass goes back so far from where the last look ended. */
const OVERLAP_US = 1_000_000;
/** Places read in one query; by an index alone. */
const MAX_PLACES = 5_000;
/** Executions read in one query, and written at once. */
const MAX_ROWS = 500;
/** The second pass goes on when so much has settled: one transaction for each second in which something ended. */
const STEP_US = 1_000_000;
/** The cursor follows the clock by such steps where nothing ends. */
const IDLE_STEP_US = 10_000_000;

/** Which scheduler writes what has ended. */
export interface EventOwners {
  ownsEndedEvents(): boolean;
}

/** What an EndedExporter is given. */
export type EndedExporterDeps = {
  readonly store: Store;
  readonly bus: SchedulerBus;
  readonly owners: EventOwners;
  readonly clock: Clock;
  readonly log: Logger;
};

/** How far an owner has come. */
type Standing = {
  /** As the store has it. */
  readonly cursor: EndedPlace;
  /** Where the first pass goes on. */
  place: EndedPlace;
  /** Everything that was to be seen up to here is written, by the store's clock. */
  reachedUs: number;
  /** The store's clock when the first pass under way began; null between two. */
  beganUs: number | null;
};

/** EndedExporter writes what has ended to execution.v1 while this scheduler owns that. */
export class EndedExporter {
  readonly #deps: EndedExporterDeps;
  readonly #loop: WakeableLoop;
  /** Null until the store has told it, and whenever what it is there is not known for sure. */
  #standing: Standing | null = null;
  /** Ends that Kafka has acknowledged. */
  #seen = new SeenEnds();
  /** The store's clock at the last read. */
  #nowUs = 0;
  #warnedUs = 0;

  constructor(deps: EndedExporterDeps) {
    this.#deps = deps;
    const run = (signal: AbortSignal) => this.runOnce(signal);
    this.#loop = new WakeableLoop(deps.clock, deps.log, { name: "ended events", intervalMs: LOOK_INTERVAL_MS, run });
  }

  /** Everything that was to be seen up to here is written, by the store's clock; null while another one writes it. */
  get reachedUs(): number | null {
    return this.#standing?.reachedUs ?? null;
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** One batch of what has settled, or of what is new; true when there is more. */
  async runOnce(signal: AbortSignal): Promise<boolean> {
    if (!this.#deps.owners.ownsEndedEvents()) {
      this.#standing = null;
      this.#seen = new SeenEnds();
      return false;
    }
    this.#standing ??= await this.#takeOver();
    if (await this.#settle(this.#standing, signal)) return true;
    return this.#standing !== null && (await this.#tellNew(this.#standing, signal));
  }

  async #takeOver(): Promise<Standing> {
    const { store } = this.#deps;
    const cursor = await store.feed.cursor(EVENTS_CURSOR);
    // Asked after it: nobody has moved it past what has settled by now.
    this.#nowUs = await store.nowUs();
    return { cursor, place: cursor, reachedUs: cursor.endedUs, beganUs: null };
  }

  /** The second pass: what has settled since the cursor is written where it was not, and then the cursor moves. */
  async #settle(standing: Standing, signal: AbortSignal): Promise<boolean> {
    const { cursor } = standing;
    const untilUs = this.#nowUs - this.#deps.store.feed.settleUs;
    const behindUs = untilUs - cursor.endedUs;
    if (behindUs < 0) {
      // The store's clock was set back: what ends now has an earlier time than the cursor.
      const begin = placeAt(untilUs);
      await this.#move({ ...standing, place: begin, reachedUs: untilUs, beganUs: null }, begin);
      return true;
    }
    if (behindUs < STEP_US) return false;
    const { places } = await this.#read(standing, cursor, untilUs);
    if (places.length === 0 && behindUs < IDLE_STEP_US) return false;
    if (!(await this.#writeAll(places, signal))) return false;
    const last = places.length < MAX_PLACES ? undefined : places.at(-1);
    await this.#move(standing, last ?? placeAt(untilUs));
    this.#seen.forgetBefore(cursor.endedUs);
    return last !== undefined;
  }

  /** The first pass: what is to be seen now is written at once, the rest of it by the second one. */
  async #tellNew(standing: Standing, signal: AbortSignal): Promise<boolean> {
    const { place, cursor } = standing;
    const after = place.endedUs > cursor.endedUs ? place : cursor;
    const { places, nowUs } = await this.#read(standing, after, null);
    standing.beganUs ??= nowUs;
    if (!(await this.#writeAll(places, signal))) return false;
    const last = places.length < MAX_PLACES ? undefined : places.at(-1);
    standing.place = last ?? placeAt(standing.beganUs - OVERLAP_US);
    standing.reachedUs = last?.endedUs ?? standing.beganUs;
    if (last === undefined) standing.beganUs = null;
    return last !== undefined;
  }

  async #read(standing: Standing, after: EndedPlace, untilUs: number | null): Promise<EndedPage> {
    const page = await this.#deps.store.feed.ended(after, untilUs, MAX_PLACES);
    this.#nowUs = page.nowUs;
    if (page.deletedUs > Math.max(standing.reachedUs, this.#warnedUs)) {
      this.#warnedUs = page.deletedUs;
      const { reachedUs } = standing;
      const fields = { writtenUntilUs: reachedUs, deletedUntilUs: page.deletedUs };
      this.#deps.log.warn(fields, "executions were deleted by retention before their ends were written to Kafka");
    }
    return page;
  }

  /** False when it was asked to stop before all of it was acknowledged. */
  async #writeAll(places: readonly EndedPlace[], signal: AbortSignal): Promise<boolean> {
    const news = places.filter((place) => !this.#seen.has(place));
    for (let from = 0; from < news.length; from += MAX_ROWS) {
      if (signal.aborted) return false;
      const batch = news.slice(from, from + MAX_ROWS);
      const executions = await this.#deps.store.feed.read(
        batch.map(({ executionId }) => executionId),
        false,
      );
      await Promise.all(executions.map((execution) => this.#write(execution)));
      for (const place of batch) this.#seen.add(place);
    }
    return true;
  }

  /** Resolves when Kafka has acknowledged it. */
  async #write(execution: Execution): Promise<void> {
    const { executionId, endedUs, state } = execution;
    if (endedUs === null || !isFinal(state)) return;
    try {
      await this.#deps.bus.sendExecution({ execution, timeUs: endedUs });
    } catch (thrown) {
      if (!(thrown instanceof JobmeshError) || thrown.reason !== "MESSAGE_TOO_LARGE") throw thrown;
      // It would be refused again and again, and everything behind it wait.
      this.#deps.log.error({ executionId, err: thrown }, "Kafka refuses the event of an end for its size");
    }
  }

  /** What the store has is asked again where it is not sure: after a failure, and when another owner was first. */
  async #move(standing: Standing, to: EndedPlace): Promise<void> {
    this.#standing = null;
    const { cursor } = standing;
    const isMoved = await this.#deps.store.feed.moveCursor(EVENTS_CURSOR, cursor, to);
    if (isMoved) this.#standing = { ...standing, cursor: to };
    else this.#deps.log.debug({}, "another scheduler moved the cursor of the ended events");
  }
}
