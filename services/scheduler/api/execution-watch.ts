import type { WatchExecutionsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import { type Execution, isFinal } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Store } from "../../common/port/store.ts";
import type { EndedPlace } from "../../common/port/store-retention.ts";
import type { CallContext, SendStream } from "../../common/rpc/contract.ts";
import type { ExecutionFeed } from "../feed/execution-feed.ts";
import type { FeedReading } from "../feed/feed-reading.ts";
import { checkRange, endsDeleted, placeAt } from "../feed/resume-token.ts";
import { matchesFilter } from "./filter-match.ts";
import type { WatchRequest } from "./watch-request.ts";
import { WatchSender } from "./watch-sender.ts";

/**
 * A call of WatchExecutions for all that a filter matches (rule 34). It first
 * reads the store from its resume token on: up to where nothing can appear any
 * more in the order of ends, and from there to now beside the feed, whose
 * changes since then it goes on with. A watcher that is too slow for what the
 * feed holds does the same from its own place: what waits for it is in the
 * store, not in memory. Without a token it begins with the feed's next change.
 */

/** Ends read from the store at once, while a watcher catches up. */
const MAX_PLACES = 500;
/** Pages without a match after which a watcher that catches up gets its place: else it began anew where its stream broke. */
const QUIET_PAGES = 4;
/** Changes taken from the feed at once. */
const MAX_CHANGES = 100;
/** Whole executions read at once: each may have a target of 512 KiB and a result. */
const MAX_FULL = 8;
/** Identifiers of what was sent while it caught up, so that the feed does not repeat them; beyond that it does. */
const MAX_SENT = 100_000;
/** A change as far as it was read for a watcher. */
type Told = { readonly execution: Execution; readonly place: EndedPlace };

/** What watching needs. */
export type WatchDeps = { readonly store: Store; readonly feed: ExecutionFeed };

/** FilteredWatch is one call, and how far it is. */
export class FilteredWatch {
  readonly #deps: WatchDeps;
  readonly #wanted: WatchRequest;
  readonly #sender: WatchSender;
  readonly #context: CallContext;
  readonly #waiting: AbortSignal;
  /** Sent while it caught up, from where more may yet appear on. */
  readonly #sent = new Set<ExecutionId>();
  /** Everything that ended up to here has been sent, or ended before the call. */
  #place: EndedPlace = placeAt(0);

  constructor(
    deps: WatchDeps,
    wanted: WatchRequest,
    stream: SendStream<WatchExecutionsResponse>,
    context: CallContext,
  ) {
    this.#deps = deps;
    this.#wanted = wanted;
    this.#sender = new WatchSender(stream, wanted.full, context);
    this.#context = context;
    this.#waiting = AbortSignal.any([context.signal, context.stopping]);
  }

  /** Goes on until the caller goes, or the server stops. Throws RESUME_TOKEN_EXPIRED. */
  async run(reading: FeedReading): Promise<void> {
    await untilAborted(reading.primed, this.#waiting);
    let number = reading.changes.last;
    let isBehind = this.#wanted.after !== null;
    this.#place = this.#wanted.after ?? reading.settled;
    while (!this.#waiting.aborted) {
      if (isBehind) number = await this.#catchUp(reading);
      await this.#follow(reading, number);
      isBehind = true;
    }
    // An OK would say that there is no more to come; the watcher goes on elsewhere after its last token.
    if (!this.#context.signal.aborted) throw new JobmeshError("SHUTTING_DOWN");
  }

  /** Sends from the store what ended after its place; answers the feed's change after which to go on. */
  async #catchUp(reading: FeedReading): Promise<number> {
    const { store } = this.#deps;
    this.#sent.clear();
    // Up to here all is there and in order, so each end is a place to resume from.
    const settled = placeAt((await store.nowUs()) - store.feed.settleUs);
    await this.#sendAfter(this.#place, settled.endedUs);
    if (this.#place.endedUs < settled.endedUs) this.#place = settled;
    // What appears late among the rest is new to the feed, which tells it after this change.
    const number = reading.changes.last;
    await this.#sendAfter(this.#place, null);
    return number;
  }

  /** Sends what ended after a place: in order and for good up to a time, or what is there now of the rest. */
  async #sendAfter(from: EndedPlace, untilUs: number | null): Promise<void> {
    let after = from;
    for (let pages = 1; !this.#waiting.aborted; pages++) {
      const page = await this.#deps.store.feed.ended(after, untilUs, MAX_PLACES);
      checkRange(after, page);
      await this.#sendEnds(page.places, untilUs !== null);
      const last = page.places.at(-1);
      if (last === undefined || page.places.length < MAX_PLACES) return;
      after = last;
      if (untilUs !== null && pages % QUIET_PAGES === 0) await this.#sender.sendPlace(this.#place);
    }
  }

  async #sendEnds(places: readonly EndedPlace[], isSettled: boolean): Promise<void> {
    if (places.length === 0) return;
    const ids = places.map(({ executionId }) => executionId);
    const executions = await this.#deps.store.feed.read(ids, false);
    const byId = new Map(executions.map((execution) => [execution.executionId, execution]));
    const told = places.map((place): Told => {
      const execution = byId.get(place.executionId);
      // Retention took it after its place was read: left out, nobody would know.
      if (execution === undefined) throw endsDeleted();
      return { execution, place: isSettled ? place : this.#place };
    });
    await this.#send(told);
    const last = places.at(-1);
    if (isSettled && last !== undefined) this.#place = last;
    if (!isSettled) for (const id of ids) if (this.#sent.size < MAX_SENT) this.#sent.add(id);
  }

  /** Sends the feed's changes after one, until the feed does not hold the next one any more. */
  async #follow(reading: FeedReading, from: number): Promise<void> {
    for (let number = from; !this.#waiting.aborted; ) {
      const changes = reading.changes.after(number, MAX_CHANGES);
      if (changes === null) return;
      await this.#send(
        changes.flatMap(({ execution, place }) =>
          execution !== null && this.#isNew(execution) ? [{ execution, place }] : [],
        ),
      );
      const last = changes.at(-1);
      if (last === undefined) await reading.changes.wait(number, this.#waiting);
      else [number, this.#place] = [last.number, last.place];
      if (changes.some(({ execution }) => execution === null)) await this.#sender.sendPlace(this.#place);
    }
  }

  /** False for what was sent while it caught up: its end, and states before that. */
  #isNew({ executionId, state }: Execution): boolean {
    return !(isFinal(state) ? this.#sent.delete(executionId) : this.#sent.has(executionId));
  }

  async #send(told: readonly Told[]): Promise<void> {
    const { filter, full } = this.#wanted;
    const matching = told.filter(({ execution }) => matchesFilter(filter, execution));
    const step = full ? MAX_FULL : MAX_CHANGES;
    for (let from = 0; from < matching.length; from += step) {
      const part = matching.slice(from, from + step);
      for (const { execution, place } of full ? await this.#whole(part) : part) {
        await this.#sender.send(execution, place);
      }
    }
  }

  /** With their targets and results. One that is deleted meanwhile is sent as it was read. */
  async #whole(told: readonly Told[]): Promise<readonly Told[]> {
    const read = await this.#deps.store.feed.read(
      told.map(({ execution }) => execution.executionId),
      true,
    );
    const byId = new Map(read.map((execution) => [execution.executionId, execution]));
    return told.flatMap((one): Told[] => {
      const execution = byId.get(one.execution.executionId);
      if (execution === undefined) return [one];
      // One that has gone on since is told as it is then, by the change that comes of it.
      if (execution.state !== one.execution.state) return [];
      // Why it waits is not stored: it was asked when the change was read.
      const { stateReason, stateMessage } = one.execution;
      return [{ ...one, execution: { ...execution, stateReason, stateMessage } }];
    });
  }
}

/** Resolves with the promise, or when the signal aborts. */
function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    signal.addEventListener("abort", done, { once: true });
    promise.then(done, done);
  });
}
