/** What the clients of a simulated mesh ask for, drawn from the seed: work, policies, jobs. */
import {
  type DeepPartial,
  type ExecutionPolicy,
  type Job,
  LostPolicy,
  MissedFirePolicy,
  OverlapPolicy,
  RoutingStrategy,
  type Target,
} from "../../gen/jobmesh/v1/job.ts";
import { durationOfMs } from "../../services/common/wire/time.ts";
import type { SeededRandom } from "./random.ts";
import { UNSTORABLE } from "./store.ts";
import { commandTarget, handlerTarget, PARAMETERS, type Try, type WorkPlan } from "./work.ts";
import { ZONES } from "./world.ts";

const OVERLAPS = [
  OverlapPolicy.OVERLAP_POLICY_SKIP,
  OverlapPolicy.OVERLAP_POLICY_ALLOW,
  OverlapPolicy.OVERLAP_POLICY_QUEUE_ONE,
  OverlapPolicy.OVERLAP_POLICY_QUEUE_ALL,
  OverlapPolicy.OVERLAP_POLICY_CANCEL_RUNNING,
];
const MISSED = [
  MissedFirePolicy.MISSED_FIRE_POLICY_FIRE_ONCE,
  MissedFirePolicy.MISSED_FIRE_POLICY_FIRE_ALL,
  MissedFirePolicy.MISSED_FIRE_POLICY_SKIP,
];

/** What clients may ask for: parts of all that they ask, drawn anew for each seed. */
export type LoadProfile = {
  /** Between two calls, milliseconds. */
  readonly gapMs: number;
  readonly commandShare: number;
  readonly requestIdShare: number;
  readonly laterShare: number;
  readonly failShare: number;
  readonly timeoutShare: number;
  readonly deafShare: number;
  readonly failPolicyShare: number;
  /** Part that may run in one zone only. */
  readonly zoneShare: number;
  readonly unstorableShare: number;
  readonly poisonShare: number;
  readonly longestMs: number;
  readonly cancels: number;
  readonly jobs: number;
  readonly jobChanges: number;
  /** Part of all that is done that is beside a drain of an executor. */
  readonly drainShare: number;
  /** Part that goes to each executor in turn. */
  readonly turnShare: number;
  /** Work that goes on longer than it takes to lose its executor. */
  readonly patientShare: number;
  /** Part that carries one of a few unique keys. */
  readonly uniqueShare: number;
  /** Between two fires of a job, milliseconds; at most sixteen times as much. */
  readonly shortestPeriodMs: number;
};

const LONGEST_PATIENT_MS = 20_000;
const SHORTEST_PERIOD_MS = 500;

/** Draws what the clients of a seed are like. */
export function drawLoad(random: SeededRandom): LoadProfile {
  const some = (most: number): number => (random.chance(0.35) ? 0 : random.unit() * most);
  return {
    gapMs: random.skewed(60, 900),
    commandShare: random.pick([0, 0.3, 0.5, 1]) ?? 0,
    requestIdShare: random.unit(),
    laterShare: some(0.4),
    failShare: some(0.6),
    timeoutShare: some(0.3),
    deafShare: some(0.2),
    failPolicyShare: random.pick([0, 0.5, 1]) ?? 1,
    zoneShare: some(0.5),
    unstorableShare: some(0.2),
    poisonShare: some(0.03),
    longestMs: random.skewed(200, 8_000),
    cancels: some(0.3),
    jobs: some(0.2),
    jobChanges: some(0.2),
    drainShare: drawShare(random.branch("drains"), 0.03),
    turnShare: drawShare(random.branch("turns"), 0.6),
    patientShare: some(0.15),
    uniqueShare: drawUniqueShare(random.branch("unique")),
    shortestPeriodMs: SHORTEST_PERIOD_MS,
  };
}

/** None in a third of all seeds. */
function drawShare(random: SeededRandom, most: number): number {
  return random.chance(0.35) ? 0 : random.unit() * most;
}

/** Few seeds have unique keys, and those many: the others stay as they were. */
function drawUniqueShare(random: SeededRandom): number {
  return random.chance(0.2) ? 0.2 + random.unit() / 2 : 0;
}

const UNIQUE_KEYS = ["one", "two", "three"];
/** A submission's unique key and what happens where it is taken. */
export type Unique = { readonly key: string; readonly policy: "RETURN_EXISTING" | "REJECT" | "REPLACE_WAITING" };
const UNIQUE_POLICIES = ["RETURN_EXISTING", "REJECT", "REPLACE_WAITING"] as const;

/** Demand draws single things that are asked for. */
export class Demand {
  readonly #profile: LoadProfile;

  constructor(profile: LoadProfile) {
    this.#profile = profile;
  }

  /** A submission's target and policy; `limits` draws its limits of time, which move nothing else. */
  work(random: SeededRandom, limits: SeededRandom): Pick<DeepPartial<Job>, "target" | "policy" | "parameters"> {
    const isPatient = random.chance(this.#profile.patientShare);
    const plan = isPatient ? patientPlan(random) : this.plan(random);
    const policy = this.#inTurn(withLimits(this.policy(random), limits), limits);
    return {
      target: targetOf(plan, random.chance(this.#profile.commandShare)),
      parameters: PARAMETERS,
      policy: isPatient ? { ...policy, timeout: durationOfMs(LONGEST_PATIENT_MS + 5_000) } : policy,
    };
  }

  /** Its unique key; null when it has none. */
  unique(random: SeededRandom): Unique | null {
    if (!random.chance(this.#profile.uniqueShare)) return null;
    return { key: random.pick(UNIQUE_KEYS) ?? "", policy: random.pick(UNIQUE_POLICIES) ?? "REJECT" };
  }

  /** What a job runs from now on. */
  target(random: SeededRandom): Target {
    return targetOf({ ...this.plan(random), isPoison: false }, random.chance(this.#profile.commandShare));
  }

  /** What its attempts do. */
  plan(random: SeededRandom): WorkPlan {
    const { failShare, timeoutShare, deafShare, unstorableShare, poisonShare, longestMs } = this.#profile;
    const tries: Try[] = [];
    for (let count = 1 + random.below(3); count > 0; count--) {
      const isLong = random.chance(timeoutShare);
      const durationMs = Math.round(isLong ? random.between(4_000, 12_000) : random.skewed(1, longestMs));
      const end = !random.chance(failShare) ? "succeed" : random.chance(0.1) ? "fail for good" : "fail";
      tries.push({ durationMs, end });
    }
    const isPoison = random.chance(poisonShare);
    const plan = { tries, ignoresSignal: random.chance(deafShare), lines: random.below(3), isPoison };
    return random.chance(unstorableShare) ? { ...plan, unstorable: UNSTORABLE } : plan;
  }

  /** Its policy. */
  policy(random: SeededRandom): DeepPartial<ExecutionPolicy> {
    return {
      priority: random.below(3) - 1,
      timeout: durationOfMs(Math.round(random.between(2_000, 9_000))),
      retry: {
        maxAttempts: 1 + random.below(4),
        initialInterval: durationOfMs(Math.round(random.skewed(50, 3_000))),
        multiplier: 1 + random.unit(),
        jitter: random.chance(0.5) ? 0 : random.unit() / 2,
      },
      lostPolicy: random.chance(this.#profile.failPolicyShare)
        ? LostPolicy.LOST_POLICY_FAIL
        : LostPolicy.LOST_POLICY_RETRY,
      maxLosses: 1 + random.below(6),
      ...(random.chance(this.#profile.zoneShare)
        ? { routing: { executorLabels: { zone: random.pick(ZONES) ?? "" } } }
        : {}),
    };
  }

  /** Its routing, of those that may go to each executor in turn. */
  #inTurn(policy: DeepPartial<ExecutionPolicy>, random: SeededRandom): DeepPartial<ExecutionPolicy> {
    const strategy = RoutingStrategy.ROUTING_STRATEGY_ROUND_ROBIN;
    return random.chance(this.#profile.turnShare) ? { ...policy, routing: { ...policy.routing, strategy } } : policy;
  }

  /** A job under a name. One that takes its executors down lets no fires wait for their turn: they would for hours. */
  job(random: SeededRandom, limits: SeededRandom, jobId: string): DeepPartial<Job> {
    const intervalMs = this.intervalMs(random);
    const plan = this.plan(random);
    const target = targetOf(plan, random.chance(this.#profile.commandShare));
    const policy = this.#inTurn(withLimits(this.policy(random), limits), limits);
    const maxConcurrency = random.chance(0.3) ? 1 + random.below(2) : 0;
    const maxFires = random.chance(0.3) ? BigInt(1 + random.below(8)) : 0n;
    const when = random.chance(0.5)
      ? ({ $case: "interval", value: durationOfMs(intervalMs) } as const)
      : ({ $case: "cron", value: this.#cron(1 + random.below(6)) } as const);
    const overlapPolicy = random.pick(OVERLAPS) ?? OverlapPolicy.OVERLAP_POLICY_SKIP;
    const missedFirePolicy = random.pick(MISSED) ?? MissedFirePolicy.MISSED_FIRE_POLICY_SKIP;
    return {
      jobId,
      target,
      parameters: PARAMETERS,
      policy: { ...policy, ...(maxConcurrency === 0 || plan.isPoison ? {} : { maxConcurrency }) },
      schedule: {
        maxFires,
        when,
        overlapPolicy: plan.isPoison ? OverlapPolicy.OVERLAP_POLICY_SKIP : overlapPolicy,
        missedFirePolicy,
      },
    };
  }

  /** Every so many seconds; minutes, where everything comes slowly. */
  #cron(every: number): string {
    return this.#profile.shortestPeriodMs > SHORTEST_PERIOD_MS ? `0 */${every} * * * *` : `*/${every} * * * * *`;
  }

  /** Time between two fires. */
  intervalMs(random: SeededRandom): number {
    const { shortestPeriodMs } = this.#profile;
    return Math.round(random.skewed(shortestPeriodMs, 16 * shortestPeriodMs) / 100) * 100;
  }
}

/** Part of what is asked for that has a start deadline, and that has a limit of all retries. */
const LIMITED_SHARE = 0.2;

function withLimits(policy: DeepPartial<ExecutionPolicy>, random: SeededRandom): DeepPartial<ExecutionPolicy> {
  const hasDeadline = random.chance(LIMITED_SHARE);
  const startDeadline = durationOfMs(Math.round(random.skewed(100, 8_000)));
  const hasDuration = random.chance(LIMITED_SHARE);
  const maxDuration = durationOfMs(Math.round(random.skewed(200, 15_000)));
  return {
    ...policy,
    ...(hasDeadline ? { startDeadline } : {}),
    ...(hasDuration ? { retry: { ...policy.retry, maxDuration } } : {}),
  };
}

/** Every second handler of this kind does not hear its signal, so that fences and stops have to wait for it. */
function patientPlan(random: SeededRandom): WorkPlan {
  const durationMs = Math.round(random.between(6_000, LONGEST_PATIENT_MS));
  return { tries: [{ durationMs, end: "succeed" }], ignoresSignal: random.chance(0.5), lines: random.below(3) };
}

/** A plan as a target. */
export function targetOf(plan: WorkPlan, isCommand: boolean): Target {
  return isCommand ? commandTarget(plan) : handlerTarget(plan);
}
