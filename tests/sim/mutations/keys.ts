/** Faults against unique_keys (rule 5) and the limit on what waits. */
import type { Mutation } from "./mutation.ts";

const SQL = "services/common/adapter/sql";

/** By rule. */
export const keyMutations: readonly Mutation[] = [
  {
    name: "a unique key is free while its execution waits for its next attempt",
    rules: [5],
    changes: [
      {
        file: `${SQL}/execution-end.ts`,
        find: "    ends ? null : one.uniqueHash,",
        replace: `    settlement.state === "SCHEDULED" ? one.uniqueHash : null,`,
      },
    ],
  },
  {
    name: "a unique key stays with what was cancelled",
    rules: [5],
    changes: [
      {
        file: `${SQL}/waiting-end.ts`,
        find: "const CANCEL_UPDATE = { ...END_UPDATE, ",
        replace: `const CANCEL_UPDATE = { ...END_UPDATE, also: END_UPDATE.also.replace("live_unique_key = NULL,", ""), `,
      },
    ],
  },
  {
    name: "a unique key that is taken is answered under REJECT",
    rules: [5],
    changes: [
      {
        file: `${SQL}/submit-group.ts`,
        find: `if (unique?.policy === "REJECT") return { kind: "key_taken", executionId };`,
        replace: `if (unique?.policy === "REJECT") return { kind: "existing", executionId };`,
      },
    ],
  },
  {
    name: "what waits for its next attempt is replaced under its unique key",
    rules: [5],
    changes: [
      {
        file: `${SQL}/replaced-execution.ts`,
        find: `(execution.state === "SCHEDULED" || execution.state === "READY") && execution.attempt === 0;`,
        replace: `execution.state === "SCHEDULED" || execution.state === "READY";`,
      },
    ],
  },
  {
    name: "a submission is stored although it is refused for what waits",
    rules: [5],
    changes: [
      {
        file: "services/scheduler/dispatch/submitter.ts",
        find: "      if (repeat === null) throw full;",
        replace: `      if (repeat === null) {
        void this.#push(submission);
        throw full;
      }`,
      },
    ],
  },
];
