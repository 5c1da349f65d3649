/** What clients ask for while a fire is held at its executor: by chance that would be rare. */
import type { Execution } from "../../gen/jobmesh/v1/execution.ts";
import { OverlapPolicy } from "../../gen/jobmesh/v1/job.ts";
import {
  JobServiceService,
  PauseJobRequest,
  ResumeJobRequest,
  RunJobRequest,
  UpdateJobRequest,
} from "../../gen/jobmesh/v1/job_service.ts";
import { newTraceparent, traceIdOf } from "../../services/common/telemetry/traceparent.ts";
import { type Client, MAX_TRIES } from "./client.ts";
import type { Demand } from "./demand.ts";
import type { SeededRandom } from "./random.ts";

/** Part of the held fires at which somebody asks for something, and within how long. */
const HELD_SHARE = 0.2;
const HELD_MS = 280;
/** Part of the held fires before which somebody runs the job, how often at most, and within how long. */
const RUN_SHARE = 0.1;
const MAX_RUNS = 4;
const RUN_MS = 400;

const OVERLAPS = [
  OverlapPolicy.OVERLAP_POLICY_ALLOW,
  OverlapPolicy.OVERLAP_POLICY_SKIP,
  OverlapPolicy.OVERLAP_POLICY_QUEUE_ONE,
  OverlapPolicy.OVERLAP_POLICY_QUEUE_ALL,
  OverlapPolicy.OVERLAP_POLICY_CANCEL_RUNNING,
];

/** HeldLoad is the clients that come just before a fire. */
export class HeldLoad {
  readonly #client: Client;
  readonly #demand: Demand;
  readonly #cancel: (executionId: string) => Promise<void>;
  readonly #draws: SeededRandom;
  readonly #runs: SeededRandom;
  #requests = 0;
  #isOver = false;

  /** @param random draws for this load alone */
  constructor(client: Client, demand: Demand, random: SeededRandom, cancel: (executionId: string) => Promise<void>) {
    this.#client = client;
    this.#demand = demand;
    this.#cancel = cancel;
    this.#draws = random;
    this.#runs = random.branch("runs");
  }

  /** Nothing more is asked for. */
  stop(): void {
    this.#isOver = true;
  }

  /** A fire is held at its executor. Some clients change its job just then, cancel it, or run the job. */
  heard(jobId: string, executionId: string): void {
    if (this.#isOver) return;
    if (this.#runs.chance(RUN_SHARE)) this.#runSome(jobId);
    const random = this.#draws;
    if (!random.chance(HELD_SHARE)) return;
    const ask = random.pick([
      () => this.#pauseAWhile(jobId),
      () => this.#cancel(executionId),
      () => this.#retarget(jobId),
    ]);
    this.#later(random.between(0, HELD_MS), () => ask?.());
  }

  /** Under one policy or another, one after the other: some wait for what is held, some for each other. */
  #runSome(jobId: string): void {
    const count = 1 + this.#runs.below(MAX_RUNS);
    for (let run = 0; run < count; run++) {
      const overlapPolicy = this.#runs.pick(OVERLAPS) ?? OverlapPolicy.OVERLAP_POLICY_SKIP;
      this.#later(this.#runs.between(0, RUN_MS), () => this.#run(jobId, overlapPolicy));
    }
  }

  #later(delayMs: number, ask: () => Promise<void> | undefined): void {
    this.#client.process.setTimer(delayMs, () => {
      if (!this.#isOver) void ask();
    });
  }

  async #run(jobId: string, overlapPolicy: OverlapPolicy): Promise<void> {
    const requestId = `held-run-${++this.#requests}`;
    const traceparent = newTraceparent(this.#runs);
    const request = RunJobRequest.fromPartial({ jobId, requestId, overlapPolicy });
    const response = await this.#client.call<RunJobRequest, { execution?: Execution }>(
      JobServiceService.runJob,
      request,
      MAX_TRIES,
      traceparent,
    );
    this.#client.acknowledge(response?.execution, requestId, traceIdOf(traceparent));
  }

  async #pauseAWhile(jobId: string): Promise<void> {
    const pause = PauseJobRequest.fromPartial({ jobId, reason: "held" });
    await this.#client.change(JobServiceService.pauseJob, pause, MAX_TRIES);
    await this.#client.process.sleep(500);
    const resume = ResumeJobRequest.fromPartial({ jobId });
    await this.#client.change(JobServiceService.resumeJob, resume, MAX_TRIES);
  }

  async #retarget(jobId: string): Promise<void> {
    const job = { jobId, target: this.#demand.target(this.#draws) };
    const request = UpdateJobRequest.fromPartial({ job, updateMask: ["target"] });
    await this.#client.change(JobServiceService.updateJob, { ...request, jobId }, MAX_TRIES);
  }
}
