import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { MemoryBus } from "../../../services/common/adapter/memory/bus.ts";
import type { AttemptResult } from "../../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import {
  type AttemptKey,
  type ExecutionId,
  type ExecutorId,
  type Fence,
  keyText,
} from "../../../services/common/domain/identifier.ts";
import type { ResultRecord, SchedulerBus } from "../../../services/common/port/bus.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import type { Tracing } from "../../../services/common/telemetry/tracing.ts";
import { type ExecutorConfig, executorDefaults } from "../../../services/executor/config.ts";
import { Executor } from "../../../services/executor/executor.ts";
import type { ExecutorDeps } from "../../../services/executor/executor-deps.ts";
import { type HandlerDefinition, HandlerRunner } from "../../../services/executor/target/handler.ts";
import type { HandlerContext } from "../../../services/executor/target/handler-context.ts";
import type { TargetRunner } from "../../../services/executor/target-runner.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { type HomeManners, ScriptedHomes } from "./scripted-homes.ts";

/** How orders and results travel in a test: every executor test runs over both. */
export const WAYS = ["session", "bus"] as const;
export type Way = (typeof WAYS)[number];

/** The one method of these tests: bytes in, bytes out. */
export const METHOD = "test.Work/Do";

const tracingOff: Tracing = {
  enabled: false,
  records: () => false,
  startSpan: () => assert.fail("no span is made while nothing exports"),
  stop: async () => {},
};

/** A piece of work of the handler under test. */
export type Work = (request: Buffer, context: HandlerContext) => unknown;

export type SetupOptions = {
  readonly way?: Way;
  readonly work?: Work;
  readonly config?: Partial<ExecutorConfig>;
  readonly deps?: Partial<ExecutorDeps>;
  readonly manners?: Partial<HomeManners>;
  readonly handler?: Partial<HandlerDefinition>;
  readonly moreRunners?: (clock: ManualClock) => readonly TargetRunner[];
  /** What stands before the handler's runner; nothing when it is left out. */
  readonly wrap?: (handler: TargetRunner, clock: ManualClock) => TargetRunner;
  /** False leaves the start to the test. */
  readonly start?: boolean;
};

/** A manual clock that can jump as after a SIGSTOP: time has passed and no timer has fired. */
class JumpingClock extends ManualClock {
  #jumpedMs = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.#jumpedMs;
  }

  override wallUs(): number {
    return super.wallUs() + this.#jumpedMs * 1000;
  }

  jump(ms: number): void {
    this.#jumpedMs += ms;
  }
}

/** An executor with a scripted home, on a clock that the test moves. */
export class Rig {
  readonly clock = new JumpingClock();
  readonly homes: ScriptedHomes;
  readonly bus: MemoryBus | null;
  readonly executor: Executor;
  /** Why the process was to end. */
  readonly exits: string[] = [];
  /** What stands in each partition of the result topic, as a scheduler reads it. */
  readonly topic: [ResultRecord[], ResultRecord[]] = [[], []];
  readonly #lane = 3;
  readonly #schedulerBus: SchedulerBus | null;
  #count = 0;

  constructor(options: SetupOptions) {
    const { clock } = this;
    this.bus = options.way === "bus" ? new MemoryBus(clock, { resultPartitions: 2 }) : null;
    this.#schedulerBus = this.bus?.scheduler() ?? null;
    this.#schedulerBus?.onResults(async (partition, records) => void this.topic[partition]?.push(...records));
    const stored = this.bus === null ? [] : [0, 1].map((partition) => ({ partition, generation: 0, nextOffset: 0 }));
    this.homes = new ScriptedHomes(clock, { stored, ...options.manners });
    const definition: HandlerDefinition = {
      method: METHOD,
      slots: 0,
      descriptorHash: "",
      decode: (bytes) => Buffer.from(bytes),
      encodeJson: null,
      encode: (response) => response as Uint8Array,
      run: (request, context) => (options.work ?? ((bytes) => bytes))(request as Buffer, context),
      ...options.handler,
    };
    const { wrap = (runner) => runner } = options;
    this.executor = new Executor(
      {
        clock,
        random: new SystemRandom(),
        log: silentLogger,
        tracing: tracingOff,
        connector: this.homes,
        bus: this.bus?.executor() ?? null,
        registry: null,
        runners: [wrap(new HandlerRunner(clock, definition), clock), ...(options.moreRunners?.(clock) ?? [])],
        commands: null,
        lock: null,
        descriptorSet: () => undefined,
        load: () => ({ cpuLoad: 0, memoryBytes: 0 }),
        exitProcess: (why) => void this.exits.push(why),
        ...options.deps,
      },
      {
        ...executorDefaults,
        executorId: "executor-1" as ExecutorId,
        lane: this.#lane,
        slots: 4,
        ...options.config,
      },
    );
  }

  /** Starts it and waits until its home has taken it and heard its room. */
  async start(): Promise<void> {
    await this.startBus();
    await this.executor.start();
    await this.clock.settle();
  }

  /** Begins to read the result topic. */
  async startBus(): Promise<void> {
    await this.#schedulerBus?.start();
    this.#schedulerBus?.readResults([0, 1].map((partition) => ({ partition, offset: 0 })));
  }

  /** Stops reading it. */
  async stopBus(): Promise<void> {
    await this.#schedulerBus?.stop();
  }

  /** Rule 27: the result topic is lost, and another one of its name begins at 0. */
  remakeResults(): void {
    this.bus?.remakeResults();
    this.topic[0] = [];
    this.topic[1] = [];
    this.#schedulerBus?.readResults([0, 1].map((partition) => ({ partition, offset: 0 })));
  }

  /** A key that nobody had before. */
  key(parts: Partial<AttemptKey> = {}): AttemptKey {
    this.#count++;
    const executionId = `00000000-0000-7000-8000-${String(this.#count).padStart(12, "0")}` as ExecutionId;
    return { executionId, attempt: 1, fence: BigInt(this.#count) as Fence, ...parts };
  }

  /** An order for this executor, dispatched now under its present session. */
  order(parts: Partial<DispatchOrder> = {}, request: Uint8Array = Buffer.from("work")): DispatchOrder {
    const { incarnation, sessionNumber } = this.executor.status;
    const payload = { $case: "request" as const, value: Buffer.from(request) };
    const bytes = Target.encode({ kind: { $case: "handler", value: { method: METHOD, payload } } }).finish();
    return {
      key: this.key(),
      executorId: "executor-1" as ExecutorId,
      incarnation,
      namespace: "default",
      jobId: "job-1",
      target: { kind: "handler", method: METHOD, summary: METHOD, bytes },
      timeoutMs: 3_600_000,
      holdUntilUs: null,
      startDeadlineUs: null,
      scheduledUs: this.clock.wallUs(),
      maxAttempts: 1,
      labels: {},
      sessionNumber,
      dispatchUs: this.clock.wallUs(),
      traceparent: "",
      tracestate: "",
      ...parts,
    };
  }

  /** Sends an order the way that this executor gets its work, and lets everything run that needs no time. */
  async dispatch(order: DispatchOrder = this.order()): Promise<DispatchOrder> {
    if (this.#schedulerBus === null) this.homes.last.dispatch(order);
    else await this.#schedulerBus.sendOrder(this.#lane, order);
    await this.clock.settle();
    return order;
  }

  /** Every result that left the executor, by the session and by the topic. */
  results(): AttemptResult[] {
    const records = this.topic.flat().flatMap(({ result }) => result ?? []);
    return [...this.homes.all("result").map(({ result }) => result), ...records];
  }

  /** The only result of a key. */
  result(key: AttemptKey): AttemptResult {
    const found = this.results().filter((result) => keyText(result.key) === keyText(key));
    assert.equal(found.length, 1, `one result of ${keyText(key)}`);
    return found[0] as AttemptResult;
  }

  /** The store has everything that was produced: the next beat is answered with it. */
  async storeProduced(): Promise<void> {
    if (this.bus !== null) {
      this.homes.manners.stored = this.homes.manners.stored.map(({ partition, generation }) => {
        return { partition, generation, nextOffset: (this.topic[partition]?.at(-1)?.offset ?? -1) + 1 };
      });
    }
    await this.clock.advance(1_000);
  }
}

/** A rig that has a home, stopped at the test's end with nothing left armed. */
export async function setup(t: TestContext, options: SetupOptions = {}): Promise<Rig> {
  const rig = new Rig(options);
  t.after(async () => {
    const stopped = rig.executor.stop(0);
    for (let seconds = 0; seconds < 30; seconds++) await rig.clock.advance(1_000);
    await stopped;
    await rig.stopBus();
    assert.equal(rig.clock.armedCount, 0, "no timer is left");
  });
  if (options.start !== false) await rig.start();
  return rig;
}

/** A piece of work that the test ends. */
export class HeldWork {
  readonly started: HandlerContext[] = [];
  readonly #ends: PromiseWithResolvers<Uint8Array>[] = [];

  readonly run: Work = (_request, context) => {
    this.started.push(context);
    const end = Promise.withResolvers<Uint8Array>();
    this.#ends.push(end);
    return end.promise;
  };

  /** Ends the attempts that were started, in that order. */
  finish(index: number, answer: Uint8Array = Buffer.from("done")): void {
    this.#ends[index]?.resolve(answer);
  }

  fail(index: number, error: Error): void {
    this.#ends[index]?.reject(error);
  }
}
