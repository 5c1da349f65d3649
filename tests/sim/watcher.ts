/**
 * A client that watches what ends, from before the first execution on: over
 * streams that break, with schedulers that die, are cut off and come back, each
 * time at another one, from the last resume token. What it was told is kept for
 * the judges. A third of the seeds have one; its chance is its own.
 */
import {
  ExecutionServiceService,
  ListExecutionsRequest,
  type ListExecutionsResponse,
  WatchExecutionsRequest,
  type WatchExecutionsResponse,
} from "../../gen/jobmesh/v1/execution_service.ts";
import type { ExecutionState } from "../../services/common/domain/execution.ts";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import { stateOfNumber } from "../../services/common/wire/execution.ts";
import { Machine, type Surroundings } from "./node-parts.ts";
import type { SimProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";

const WATCHED_SHARE = 1 / 3;
const CALL_TIMEOUT_MS = 3_000;
/** It leaves a stream by itself after at most so long, to go on elsewhere. */
const LONGEST_STREAM_MS = 15_000;
const LONGEST_PAUSE_MS = 500;

/** Watcher is that client. */
export class Watcher {
  /** States that it was told, by execution, in their order. */
  readonly told = new Map<string, ExecutionState[]>();
  /** Errors that no fault explains. */
  readonly refusals: string[] = [];
  readonly #around: Surroundings;
  readonly #random: SeededRandom;
  readonly #addresses: readonly string[];
  readonly #process: SimProcess;
  #token = "";

  private constructor(around: Surroundings, random: SeededRandom, addresses: readonly string[]) {
    this.#around = around;
    this.#random = random;
    this.#addresses = addresses;
    this.#process = new Machine("watcher", around).process();
  }

  /** The watcher of a seed; null where it has none. */
  static of(around: Surroundings, addresses: readonly string[]): Watcher | null {
    const random = around.random.branch("watcher");
    return random.chance(WATCHED_SHARE) ? new Watcher(around, random, addresses) : null;
  }

  start(): void {
    void this.#run();
  }

  async #run(): Promise<void> {
    for (;;) {
      const address = this.#random.pick(this.#addresses) ?? "";
      const error = await (this.#token === "" ? this.#begin(address) : this.#follow(address));
      if (error !== null && error.code !== "UNAVAILABLE" && error.code !== "DEADLINE_EXCEEDED") {
        this.refusals.push(`${error.reason} ${error.message}`);
      }
      await this.#process.sleep(this.#random.between(0, LONGEST_PAUSE_MS));
    }
  }

  /** Takes the token of a list. */
  async #begin(address: string): Promise<JobmeshError | null> {
    const place = { process: this.#process, machine: "watcher" };
    const request = ListExecutionsRequest.fromPartial({ pageSize: 1 });
    const options = { timeoutMs: CALL_TIMEOUT_MS, traceparent: null };
    const method = ExecutionServiceService.listExecutions;
    try {
      const list = await this.#around.rpc.call<typeof request, ListExecutionsResponse>(
        place,
        address,
        method,
        request,
        options,
      );
      this.#token = list.resumeToken;
      return null;
    } catch (thrown) {
      return JobmeshError.from(thrown);
    }
  }

  /** Watches until the stream breaks, or is left. */
  #follow(address: string): Promise<JobmeshError | null> {
    const place = { process: this.#process, machine: "watcher" };
    const request = WatchExecutionsRequest.fromPartial({ resumeToken: this.#token });
    const method = ExecutionServiceService.watchExecutions;
    const { history, rpc } = this.#around;
    return new Promise((resolve) => {
      const stream = rpc.follow<WatchExecutionsRequest, WatchExecutionsResponse>(place, address, method, request);
      const leaving = this.#process.setTimer(this.#random.skewed(100, LONGEST_STREAM_MS), () => {
        stream.fail(new JobmeshError("CANCELLED"));
      });
      stream.onMessage((change) => this.#hear(change));
      stream.onClosed((error) => {
        leaving.cancel();
        history.note(this.#process.name, `leaves ${address}: ${error?.message ?? "the end"}`);
        resolve(error?.reason === "CANCELLED" ? null : error);
      });
    });
  }

  #hear({ execution, resumeToken }: WatchExecutionsResponse): void {
    this.#token = resumeToken;
    if (execution === undefined) return;
    const states = this.told.get(execution.executionId) ?? [];
    this.told.set(execution.executionId, states);
    const state = stateOfNumber(execution.state);
    if (state !== null) states.push(state);
  }
}
