/** Faults against the rules of fires, of timeouts and losses, and of ownership: 9 to 13, 23, 24, 26, 30, 31. */
import type { Mutation } from "./mutation.ts";

const SQL = "services/common/adapter/sql";
const SCHEDULER = "services/scheduler";

/** By rule. */
export const schedulerMutations: readonly Mutation[] = [
  {
    name: "a fire is not compared with the job's next fire",
    rules: [9],
    changes: [
      {
        file: `${SQL}/fires.ts`,
        find: "AND revision = ? AND paused = 0 AND next_fire_us = ?`",
        replace: "AND revision = ? AND paused = 0 AND COALESCE(next_fire_us, ?) > 0`",
      },
    ],
  },
  {
    name: "a paused job fires",
    rules: [9],
    changes: [
      {
        file: `${SQL}/fires.ts`,
        find: "AND revision = ? AND paused = 0 AND next_fire_us = ?`",
        replace: "AND revision = ? AND (paused = 1 OR next_fire_us = ?)`",
      },
    ],
  },
  {
    name: "a merged fire counts one too few",
    rules: [10],
    changes: [
      {
        file: "services/common/domain/schedule/missed-fires.ts",
        find: "mergedCount: compiled.count(fromMs, nominalMs), mergedUntilMs: null",
        replace: "mergedCount: compiled.count(fromMs + 1, nominalMs), mergedUntilMs: null",
      },
    ],
  },
  {
    name: "missed fires that are skipped are not recorded",
    rules: [10],
    changes: [
      {
        file: "services/common/domain/schedule/missed-fires.ts",
        find: `skipped.push(...skippedFires(compiled, outsideUntil, missedUntil, "MISSED"));`,
        replace: "skipped.push();",
      },
    ],
  },
  {
    name: "a fire that is skipped at its gate counts",
    rules: [10],
    changes: [
      {
        file: `${SQL}/fires.ts`,
        find: `  const count = rows.filter(({ execution }) => execution.state !== "SKIPPED").length;`,
        replace: "  const count = rows.length;",
      },
    ],
  },
  {
    name: "a scheduler trusts its machine's clock",
    rules: [12],
    changes: [
      {
        file: `${SCHEDULER}/measured-mesh-clock.ts`,
        find: "    const nowUs = carried(this.#measured, this.#clock.monotonicMs());\n    const isHeld",
        replace: "    const nowUs = this.#clock.wallUs();\n    const isHeld",
      },
    ],
  },
  {
    name: "an executor trusts its machine's clock",
    rules: [12],
    changes: [
      {
        file: "services/executor/mesh-time.ts",
        find: "    if (this.#offsetUs === null) return this.#clock.wallUs();\n",
        replace: "    if (this.#offsetUs !== undefined) return this.#clock.wallUs();\n",
      },
    ],
  },
  {
    name: "waits are armed in memory alone",
    rules: [13],
    changes: [
      {
        file: `${SCHEDULER}/timer/wait-timer.ts`,
        find: "for (const { executionId, readyUs } of [...own, ...overdue]) this.#due",
        replace: "for (const { executionId, readyUs } of [...own, ...overdue].slice(0, 0)) this.#due",
      },
    ],
  },
  {
    name: "a second process takes over from one that lives",
    rules: [23],
    changes: [
      {
        file: `${SQL}/executor-register.ts`,
        find: `      return undo({ kind: "taken", incarnation: other.incarnation });`,
        replace: "      undo satisfies unknown;",
      },
    ],
  },
  {
    name: "the scheduler's timeout ends the attempt by itself",
    rules: [24],
    changes: [
      {
        file: `${SCHEDULER}/sessions/attempt-watch.ts`,
        find: "    const stopped = await this.#deps.store.executions.stopAttempt(key, reason, message);",
        replace: `    const failure = { code: 4, message, reason };
    const bare = { key, startUs: null, endUs: null, exitCode: null, output: "", errorOutput: "", outputPieceCount: 0 };
    const stopped =
      reason === "TIMEOUT"
        ? await this.#deps.store.executions
            .storeResults([{ ...bare, outcome: { kind: "timed_out", failure } }] as never, null)
            .then(() => true)
        : await this.#deps.store.executions.stopAttempt(key, reason, message);`,
      },
    ],
  },
  {
    name: "what is on its way to an executor is expired",
    rules: [24],
    changes: [
      {
        file: `${SQL}/expiry.ts`,
        find: "WHERE start_deadline_us < ? AND state IN $",
        replace: "WHERE start_deadline_us < ? AND state > 0 OR start_deadline_us < 0 AND state IN $",
      },
      {
        file: `${SQL}/expiry.ts`,
        find: "  return state === StateNumber.SCHEDULED || state === StateNumber.READY;",
        replace: "  return state > 0;",
      },
    ],
  },
  {
    name: "losses are not limited",
    rules: [26],
    changes: [
      {
        file: "services/common/domain/settle.ts",
        find: "const atLimit = lossCount >= execution.policy.maxLosses;",
        replace: "const atLimit = lossCount < execution.policy.maxLosses - execution.policy.maxLosses;",
      },
    ],
  },
  {
    name: "losses are not waited after",
    rules: [26],
    changes: [
      {
        file: "services/common/domain/settle.ts",
        find: "const delayMs = lossCount === 1 ? 0 : Math.min",
        replace: "const delayMs = lossCount >= 1 ? 0 : Math.min",
      },
    ],
  },
  {
    name: "nobody takes overdue fires of others",
    rules: [30],
    changes: [
      {
        file: `${SCHEDULER}/timer/job-timer.ts`,
        find: "owned.length === SHARD_COUNT ? [] : await",
        replace: "owned.length <= SHARD_COUNT ? [] : await",
      },
    ],
  },
  {
    name: "nobody takes overdue waits of others",
    rules: [30],
    changes: [
      {
        file: `${SCHEDULER}/timer/wait-timer.ts`,
        find: "owned.length === SHARD_COUNT",
        replace: "owned.length <= SHARD_COUNT",
      },
    ],
  },
  {
    name: "nothing is swept",
    rules: [31],
    changes: [
      {
        file: `${SCHEDULER}/sweep.ts`,
        find: "await store.executions.pending(this.#config.schedulerId)",
        replace: "{ claims: false, gates: false, stops: false, expiries: false }",
      },
    ],
  },
];
