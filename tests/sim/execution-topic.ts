/** The execution topic of a simulated Kafka: what was written to it, and times in which it alone acknowledges nothing. */
import { ExecutionEvent } from "../../gen/jobmesh/v1/event.ts";
import type { ExecutionChange } from "../../services/common/port/bus.ts";
import { encodeExecutionChange } from "../../services/common/wire/execution-event.ts";
import type { History } from "./history.ts";
import type { SeededRandom } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** A record, as a consumer reads it. */
export type EventRecord = { readonly key: string; readonly event: ExecutionEvent };

/** Between two outages of the topic, on average, and how long one lasts at most, virtual milliseconds. */
const GAP_MS = 8_000;
const LONGEST_MS = 6_000;

/** ExecutionTopic is execution.v1. */
export class ExecutionTopic {
  readonly records: EventRecord[] = [];
  /** False where schedulers do not write it. */
  isOpen = false;
  /** Nothing is taken. */
  isAway = false;
  #isOver = false;

  /** Schedulers write it in this run, and its leader goes away now and then while the rest of Kafka stays. */
  open(timeline: Timeline, random: SeededRandom, history: History): void {
    this.isOpen = true;
    const next = (): void => {
      if (this.#isOver) return;
      this.isAway = !this.isAway;
      history.note("execution topic", `${this.isAway ? "has no leader" : "has a leader again"}`);
      timeline.after(this.isAway ? random.skewed(50, LONGEST_MS) : random.between(0, 2 * GAP_MS), next);
    };
    timeline.after(random.between(GAP_MS / 2, 2 * GAP_MS), next);
  }

  /** No more outages. */
  heal(): void {
    this.#isOver = true;
    this.isAway = false;
  }

  /** False when it is not taken. */
  add(change: ExecutionChange): boolean {
    if (this.isAway) return false;
    const event = ExecutionEvent.decode(encodeExecutionChange(change));
    this.records.push({ key: change.execution.executionId, event });
    return true;
  }
}
