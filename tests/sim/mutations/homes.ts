/** Rules 19 to 21 and 25: what homes and executors say to one another about attempts and room. */
import type { Mutation } from "./mutation.ts";

const ATTEMPTS = "services/executor/attempts.ts";
const ATTEMPT_WATCH = "services/scheduler/sessions/attempt-watch.ts";
const SENDER = "services/scheduler/dispatch/sender.ts";
const SETTLE = "services/common/domain/settle.ts";

/** Faults of homes, and of how executors answer them. */
export const homeMutations: readonly Mutation[] = [
  {
    name: "an attempt that its executor does not know is not sent again",
    rules: [19],
    changes: [
      { file: ATTEMPT_WATCH, find: 'if (verdict === "resend" && this', replace: 'if (verdict === "reroute" && this' },
    ],
  },
  {
    name: "an attempt is sent again by Kafka",
    rules: [19],
    changes: [
      {
        file: SENDER,
        find: "    const span = this.#startSpan(execution);\n    const sent = executor",
        replace:
          "    if (this.#deps.bus !== null && executor.profile.lane !== null) {\n      this.send(execution, executor.sessionNumber);\n      return true;\n    }\n    const span = this.#startSpan(execution);\n    const sent = executor",
      },
    ],
  },
  {
    name: "an attempt is sent again under no session",
    rules: [19, 20],
    changes: [
      {
        file: SENDER,
        find: "executor.link.sendOrder(orderOf(execution, executor.sessionNumber, span));",
        replace: "executor.link.sendOrder(orderOf(execution, 0, span));",
      },
    ],
  },
  {
    name: "a slot is freed twice",
    rules: [20],
    changes: [{ file: "services/executor/kept-results.ts", find: "    kept.capability = -1;\n", replace: "" }],
  },
  {
    name: "an older session takes the executor back",
    rules: [20],
    changes: [
      {
        file: "services/common/adapter/sql/executor-register.ts",
        find: "return own.sessionNumber > sessionNumber;",
        replace: "return own.sessionNumber === -sessionNumber;",
      },
    ],
  },
  {
    name: "room is what was free, whatever is on its way",
    rules: [20],
    changes: [
      {
        file: "services/scheduler/sessions/slot-ledger.ts",
        find: "return Math.max(0, this.#free - (this.#sent - this.#received));",
        replace: "return Math.max(0, this.#free);",
      },
    ],
  },
  {
    name: "a reservation that claimed nothing is kept",
    rules: [20],
    changes: [{ file: "services/scheduler/sessions/roster.ts", find: "    executor.slots.giveBack();\n", replace: "" }],
  },
  {
    name: "what comes back is counted as a try",
    rules: [21],
    changes: [
      {
        file: SETTLE,
        find: 'returnStreak, attemptState: "SKIPPED", returnReason: end.reason });',
        replace:
          'returnStreak, attemptState: "SKIPPED", returnReason: end.reason, countedAttempts: execution.countedAttempts + 1 });',
      },
    ],
  },
  {
    name: "what comes back again and again does not wait",
    rules: [21],
    changes: [{ file: SETTLE, find: "const FREE_RETURNS = 2;", replace: "const FREE_RETURNS = 2_000;" }],
  },
  {
    name: "a command that was cut off has failed",
    rules: [21],
    changes: [
      {
        file: "services/executor/target/command.ts",
        find: '    case "cut_off":\n',
        replace:
          '    case "cut_off":\n      if (started) return failed(FailureCode.UNKNOWN, outcome.message, "signal:KILL");\n',
      },
    ],
  },
  {
    name: "a handler that was cut off has failed",
    rules: [21],
    changes: [
      {
        file: "services/executor/target/outcome.ts",
        find: 'return { kind: "returned", reason: "CUT_OFF", message };',
        replace: 'return failed(FailureCode.UNKNOWN, message, "CUT_OFF", false);',
      },
    ],
  },
  {
    name: "a stop of an unknown key is not remembered",
    rules: [25],
    changes: [
      {
        file: ATTEMPTS,
        find: "import type { KnownKey, KnownKeys } from",
        replace: "import { KnownKey, type KnownKeys } from",
      },
      {
        file: ATTEMPTS,
        find: "const added = known.add(stop.key, text, mesh.nowUs());",
        replace: "const added = new KnownKey(stop.key, text, mesh.nowUs());",
      },
    ],
  },
  {
    name: "a stop of an unknown key is not answered",
    rules: [25],
    changes: [
      {
        file: ATTEMPTS,
        find: '      this.#giveBack(added, "NOT_STARTED", "stopped before it came", "");\n',
        replace: "",
      },
    ],
  },
  {
    name: "a command that was stopped has ended at once",
    rules: [25],
    changes: [
      {
        file: "services/executor/spawner/running-command.ts",
        find: "    this.#deps.stop(reason);\n",
        replace: '    this.#deps.stop(reason);\n    this.end({ kind: "stopped", reason });\n',
      },
    ],
  },
  {
    name: "what fails after a cancel is tried again",
    rules: [25],
    changes: [
      {
        file: SETTLE,
        find: 'if (execution.stop?.reason === "CANCEL") return cancelled(',
        replace: 'if (execution.stop?.reason === "CANCEL" && end.kind === "cancelled") return cancelled(',
      },
    ],
  },
];
