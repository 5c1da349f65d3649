/** Rules 14 to 18 and 22: who lives, what a loss means, and what an executor remembers, keeps and kills. */
import type { Mutation } from "./mutation.ts";

const LOSS_WATCH = "services/scheduler/rescue/loss-watch.ts";
const KNOWN_KEYS = "services/executor/known-keys.ts";
const KEPT_RESULTS = "services/executor/kept-results.ts";
const REBIRTH = "services/executor/rebirth.ts";
const SUPERVISOR = "services/executor/spawner/supervisor.ts";
const SPAWNER = "services/executor/spawner/spawner.ts";

/** Faults of executors, and of those who judge them. */
export const executorMutations: readonly Mutation[] = [
  {
    name: "an executor is judged by one read",
    rules: [14],
    changes: [
      {
        file: LOSS_WATCH,
        find: "return Math.ceil((lease + marginMs) / heartbeatMs) + 1;",
        replace: "return lease > marginMs ? 1 : heartbeatMs;",
      },
    ],
  },
  {
    name: "attempts end before lost_time is written",
    rules: [15],
    changes: [
      {
        file: "services/common/adapter/sql/losses.ts",
        find: "\n        AND (lost_us IS NOT NULL OR left_us IS NOT NULL)`",
        replace: "`",
      },
      {
        file: "services/scheduler/rescue/rescuer.ts",
        find: "      if (this.#config.unjudged(record)) continue;\n",
        replace: "      if (this.#config.unjudged(record)) continue;\n      await this.#endAttempts(record);\n",
      },
    ],
  },
  {
    name: "a fenced executor goes on as the same incarnation",
    rules: [16],
    changes: [{ file: REBIRTH, find: "const incarnation = identity.renew();", replace: "const incarnation = old;" }],
  },
  {
    name: "a fenced executor does not wait for its handlers",
    rules: [16],
    changes: [
      { file: REBIRTH, find: "while (attempts.running.size > 0) {", replace: "while (attempts.running.size < 0) {" },
    ],
  },
  {
    name: "a key is forgotten when its result is stored",
    rules: [17],
    changes: [
      {
        file: KNOWN_KEYS,
        find: "    this.#stored.push(known);\n    this.#forget(nowMs);\n",
        replace: "    this.#byText.delete(known.text);\n",
      },
    ],
  },
  {
    name: "a key is not remembered",
    rules: [17],
    changes: [{ file: KNOWN_KEYS, find: "    this.#byText.set(text, known);\n", replace: "" }],
  },
  {
    name: "a result is dropped when it stands in Kafka",
    rules: [18],
    changes: [
      {
        file: KEPT_RESULTS,
        find: 'if (way === "stands") this.#sent(kept);',
        replace: 'if (way === "stands") this.#forget(kept);',
      },
    ],
  },
  {
    name: "a result is dropped when it was sent by the session",
    rules: [18],
    changes: [
      {
        file: KEPT_RESULTS,
        find: "new ResultRelay((kept) => this.#sent(kept));",
        replace: "new ResultRelay((kept) => this.#forget(kept));",
      },
    ],
  },
  {
    name: "work is taken although results fill the executor",
    rules: [18],
    changes: [
      {
        file: KEPT_RESULTS,
        find: "this.#all.size + running >= this.#config.maxKeptResults;",
        replace: "this.#all.size - running >= this.#config.maxKeptResults;",
      },
    ],
  },
  {
    name: "groups are not killed when the spawner dies",
    rules: [22],
    changes: [
      {
        file: SPAWNER,
        find: "await killLeftovers(this.#deps).catch((err: unknown) => {",
        replace: "await Promise.resolve().catch((err: unknown) => {",
      },
    ],
  },
  {
    name: "the spawner does not kill when its executor dies",
    rules: [22],
    changes: [
      {
        file: SUPERVISOR,
        find: "    this.#watchTimer?.cancel();\n    this.#killAll(message);\n",
        replace: "    this.#watchTimer?.cancel();\n",
      },
    ],
  },
  {
    name: "the spawner does not kill when its executor is silent",
    rules: [22],
    changes: [
      {
        file: SUPERVISOR,
        find: "if (silentMs >= this.#silenceMs) this.#killAll(",
        replace:
          "if (silentMs >= this.#silenceMs || now >= this.#fenceMs) return;\n    if (silentMs >= this.#silenceMs) this.#killAll(",
      },
    ],
  },
  {
    name: "a command has ended although its group lives",
    rules: [22],
    changes: [
      {
        file: "services/executor/spawner/command-run.ts",
        find: "    this.#timers.clear();\n    this.#awaitGroup(FIRST_LOOK_MS);\n",
        replace: "    this.#timers.clear();\n    this.#groupGone = true;\n    this.#settle();\n",
      },
    ],
  },
  {
    name: "a retry is filled in as the first attempt was",
    rules: [2],
    changes: [
      {
        file: "services/common/domain/template.ts",
        find: "return String(values.attempt);",
        replace: 'return "1";',
      },
    ],
  },
  {
    name: "an order is sent without its parameters",
    rules: [19],
    changes: [
      {
        file: "services/scheduler/dispatch/sender.ts",
        find: "execution.parameters == null ? {} : { parameters: execution.parameters }",
        replace: "{}",
      },
    ],
  },
  {
    name: "a handler that was told to end has no slot any more",
    rules: [22],
    changes: [
      {
        file: "services/executor/attempts.ts",
        find: "      ending.then(\n",
        replace: `      const told = new Promise<AttemptEnding>((resolve) => {
        const outcome: AttemptOutcome = { kind: "returned", reason: "CUT_OFF", message: "told to end" };
        const times = { startUs: attempt.startUs, endUs: attempt.startUs };
        const onAbort = (): void => resolve({ ...times, outcome, exitCode: null, output: "", errorOutput: "" });
        attempt.signal.addEventListener("abort", onAbort, { once: true });
      });
      Promise.race([ending, told]).then(
`,
      },
    ],
  },
  {
    name: "what comes after its start deadline starts",
    rules: [24],
    changes: [
      {
        file: "services/executor/attempts.ts",
        find: `return mesh.nowUs() > startDeadlineUs ? "its start deadline has passed" : null;`,
        replace: "return null;",
      },
    ],
  },
];
