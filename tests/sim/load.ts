/**
 * The clients of a simulated mesh: what they ask for is drawn from the seed,
 * what they were told is kept for the judges. A client whose call fails asks
 * again with the same request_id, or gives up; only an answer is a promise.
 */

import { type Execution, uniquePolicyFromJSON } from "../../gen/jobmesh/v1/execution.ts";
import {
  CancelExecutionRequest,
  ExecutionServiceService,
  GetExecutionRequest,
  SubmitExecutionRequest,
} from "../../gen/jobmesh/v1/execution_service.ts";
import { type DeepPartial, OverlapPolicy } from "../../gen/jobmesh/v1/job.ts";
import {
  CreateJobRequest,
  DeleteJobRequest,
  JobServiceService,
  PauseJobRequest,
  ResumeJobRequest,
  RunJobRequest,
  UpdateJobRequest,
} from "../../gen/jobmesh/v1/job_service.ts";
import { DrainExecutorRequest, MeshServiceService } from "../../gen/jobmesh/v1/mesh_service.ts";
import { newTraceparent, traceIdOf } from "../../services/common/telemetry/traceparent.ts";
import { durationOfMs, timestampOfUs } from "../../services/common/wire/time.ts";
import { Client, MAX_TRIES, type Told } from "./client.ts";
import { Demand, type LoadProfile, targetOf, type Unique } from "./demand.ts";
import { HeldLoad } from "./held-load.ts";
import type { Surroundings } from "./node-parts.ts";
import type { SeededRandom } from "./random.ts";
import type { WorkPlan } from "./work.ts";

/** Job names are few, so that they are made, deleted and made again. */
const JOB_NAMES = ["alpha", "beta", "gamma"];
/** Tries of a call that has to be answered. */
const MANY_TRIES = 100;

/** Load is the clients. */
export class Load {
  readonly #around: Surroundings;
  readonly #profile: LoadProfile;
  readonly #random: SeededRandom;
  readonly #client: Client;
  readonly #demand: Demand;
  /** Draws limits of time. */
  readonly #limits: SeededRandom;
  readonly #held: HeldLoad;
  /** Draws unique keys. */
  readonly #uniques: SeededRandom;
  /** Draws who is asked to leave. */
  readonly #drains: SeededRandom;
  #requests = 0;
  #isOver = false;

  constructor(around: Surroundings, profile: LoadProfile, addresses: readonly string[]) {
    this.#around = around;
    this.#profile = profile;
    this.#random = around.random.branch("load");
    this.#client = new Client(around, this.#random, addresses);
    this.#demand = new Demand(profile);
    this.#limits = this.#random.branch("limits");
    const held = this.#random.branch("held");
    this.#held = new HeldLoad(this.#client, this.#demand, held, (executionId) => this.#cancel(executionId));
    this.#uniques = this.#random.branch("uniques");
    this.#drains = this.#random.branch("drains");
  }

  /** What clients were told. */
  get told(): Told {
    return this.#client.told;
  }

  start(): void {
    const next = (): void => {
      if (this.#isOver) return;
      this.#act();
      this.#client.process.setTimer(this.#random.between(0, 2 * this.#profile.gapMs), next);
    };
    next();
  }

  /** A fire is held at its executor. */
  heard(jobId: string, executionId: string): void {
    this.#held.heard(jobId, executionId);
  }

  /** Nothing more is asked for. */
  stop(): void {
    this.#held.stop();
    this.#isOver = true;
  }

  /** Waits for the calls under way, then takes the schedules away, so that the mesh comes to rest. */
  async endSchedules(): Promise<void> {
    while (this.#client.openCalls > 0) await this.#client.process.sleep(100);
    for (const jobId of JOB_NAMES) {
      const request = DeleteJobRequest.fromPartial({ jobId, allowMissing: true });
      await this.#client.call(JobServiceService.deleteJob, request, MANY_TRIES);
    }
  }

  /** Submits work that takes so long; for looks at what is free. */
  async submit(durationMs: number): Promise<string | null> {
    const plan: WorkPlan = { tries: [{ durationMs, end: "succeed" }], ignoresSignal: false, lines: 0 };
    return this.#submit({ target: targetOf(plan, false), requestId: `probe-${++this.#requests}` });
  }

  #act(): void {
    const { cancels, jobs, jobChanges, drainShare } = this.#profile;
    if (this.#drains.chance(drainShare)) void this.#drain();
    const drawn = this.#random.unit() * (1 + cancels + jobs + jobChanges + 0.2);
    if (drawn < 1) return void this.#submitNew();
    if (drawn < 1 + cancels) return void this.#cancel();
    if (drawn < 1 + cancels + jobs) return void this.#createJob();
    if (drawn < 1 + cancels + jobs + jobChanges) return void this.#changeJob();
    void this.#look();
  }

  async #submitNew(): Promise<void> {
    const random = this.#random;
    const isRepeat = this.#requests > 0 && random.chance(0.1);
    const hasRequestId = random.chance(this.#profile.requestIdShare);
    const requestId =
      hasRequestId || isRepeat ? `request-${isRepeat ? random.below(this.#requests) : this.#requests++}` : "";
    // What a request_id asks for follows from it; now and then somebody has used it for something else.
    const body = isRepeat && random.chance(0.2) ? "other body" : "body";
    const drawn = requestId === "" ? random : this.#around.random.branch(`${body} ${requestId}`);
    const isLater = requestId === "" && random.chance(this.#profile.laterShare);
    const atUs = this.#client.process.wallUs() + Math.round(random.between(0, 8_000)) * 1_000;
    const request = {
      ...this.#demand.work(drawn, requestId === "" ? this.#limits : drawn.branch("limits")),
      requestId,
      ...(isLater ? { scheduledTime: timestampOfUs(atUs) } : {}),
    };
    const unique = this.#demand.unique(requestId === "" ? this.#uniques : drawn.branch("uniques"));
    const executionId = await this.#submit(request, unique);
    if (executionId !== null && requestId !== "") {
      const bodies = this.told.bodies.get(requestId) ?? new Set();
      this.told.bodies.set(requestId, bodies.add(body));
    }
    if (executionId !== null && random.chance(0.3)) await this.#look(executionId);
  }

  async #submit(input: DeepPartial<SubmitExecutionRequest>, unique: Unique | null = null): Promise<string | null> {
    const request = SubmitExecutionRequest.fromPartial(unique === null ? input : { ...input, ...keyOf(unique) });
    const askedMs = this.#around.timeline.nowMs;
    const traceparent = newTraceparent(this.#random);
    const call = this.#client.call<SubmitExecutionRequest, { execution?: Execution }>(
      ExecutionServiceService.submitExecution,
      request,
      // Without a request_id a second try may be a second execution.
      request.requestId === "" ? 1 : MAX_TRIES,
      traceparent,
    );
    const { execution } = (await call) ?? {};
    // Under a key it may be another call's, with that one's trace.
    const traceId = unique === null ? traceIdOf(traceparent) : (execution?.traceId ?? "");
    const executionId = this.#client.acknowledge(execution, request.requestId, traceId);
    if (unique !== null && executionId !== null && request.requestId === "") {
      const isOwn = traceId === traceIdOf(traceparent);
      this.told.keyed.push({ ...unique, executionId, isOwn, askedMs });
    }
    return executionId;
  }

  async #cancel(given?: string): Promise<void> {
    const executionId = given ?? this.#drawExecution();
    if (executionId === undefined) return;
    const request = CancelExecutionRequest.fromPartial({ executionId, reason: "drawn" });
    const response = await this.#client.call<CancelExecutionRequest, { execution?: Execution }>(
      ExecutionServiceService.cancelExecution,
      request,
      MAX_TRIES,
    );
    if (response?.execution === undefined) return;
    this.#client.cancelled(response.execution);
  }

  #drawExecution(): string | undefined {
    const ids = [...this.told.acknowledged.keys()];
    return this.#random.chance(0.7) ? ids.at(-1 - this.#random.below(8)) : this.#random.pick(ids);
  }

  async #look(given?: string): Promise<void> {
    const executionId = given ?? this.#random.pick([...this.told.acknowledged.keys()]);
    if (executionId === undefined) return;
    const request = GetExecutionRequest.fromPartial({ executionId, waitUntilEnded: this.#random.chance(0.5) });
    const response = await this.#client.call<GetExecutionRequest, { execution?: Execution }>(
      ExecutionServiceService.getExecution,
      request,
      2,
    );
    if (response?.execution !== undefined) this.#client.heard(response.execution);
  }

  /** Its supervisor starts it again. */
  async #drain(): Promise<void> {
    const executorId = this.#drains.pick(["x1", "x2", "x3", "x4"]) ?? "x1";
    const grace = durationOfMs(Math.round(this.#drains.between(0, 6_000)));
    const request = DrainExecutorRequest.fromPartial({ executorId, grace });
    await this.#client.call(MeshServiceService.drainExecutor, request, MAX_TRIES);
  }

  async #createJob(): Promise<void> {
    const random = this.#random;
    const jobId = random.pick(JOB_NAMES) ?? "alpha";
    const job = this.#demand.job(random, this.#limits, jobId);
    const request = CreateJobRequest.fromPartial({ job, requestId: `job-${++this.#requests}` });
    const response = await this.#client.call<CreateJobRequest, { job?: { uid: string } }>(
      JobServiceService.createJob,
      request,
      MAX_TRIES,
    );
    if (response?.job === undefined) return;
    this.told.jobs.add(response.job.uid);
  }

  async #changeJob(): Promise<void> {
    const random = this.#random;
    const jobId = random.pick(JOB_NAMES) ?? "alpha";
    switch (random.below(5)) {
      case 0: {
        const request = PauseJobRequest.fromPartial({ jobId, reason: "drawn" });
        return this.#client.change(JobServiceService.pauseJob, request, MAX_TRIES);
      }
      case 1: {
        const request = ResumeJobRequest.fromPartial({ jobId });
        return this.#client.change(JobServiceService.resumeJob, request, MAX_TRIES);
      }
      case 2: {
        const value = durationOfMs(this.#demand.intervalMs(random));
        const schedule = {
          when: { $case: "interval", value } as const,
          overlapPolicy: OverlapPolicy.OVERLAP_POLICY_ALLOW,
        };
        const target = this.#demand.target(random);
        // With another target alone its fires stay where they are.
        const updateMask = [random.chance(0.5) ? "schedule" : "target"];
        const request = UpdateJobRequest.fromPartial({ job: { jobId, schedule, target }, updateMask });
        return this.#client.change(JobServiceService.updateJob, { ...request, jobId }, MAX_TRIES);
      }
      case 3: {
        const request = DeleteJobRequest.fromPartial({ jobId, cancelExecutions: random.chance(0.5) });
        return this.#client.change(JobServiceService.deleteJob, request, MAX_TRIES);
      }
      default:
        return this.#runJob(jobId);
    }
  }

  async #runJob(jobId: string): Promise<void> {
    const requestId = `run-${++this.#requests}`;
    const traceparent = newTraceparent(this.#random);
    const request = RunJobRequest.fromPartial({ jobId, requestId });
    const response = await this.#client.call<RunJobRequest, { execution?: Execution }>(
      JobServiceService.runJob,
      request,
      MAX_TRIES,
      traceparent,
    );
    this.#client.acknowledge(response?.execution, requestId, traceIdOf(traceparent));
  }
}

function keyOf({ key, policy }: Unique): Pick<SubmitExecutionRequest, "uniqueKey" | "uniquePolicy"> {
  return { uniqueKey: key, uniquePolicy: uniquePolicyFromJSON(`UNIQUE_POLICY_${policy}`) };
}
