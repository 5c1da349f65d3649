/** Faults against drains, the pins of rule 32, and OVERLAP_POLICY_CANCEL_RUNNING. */
import type { Mutation } from "./mutation.ts";

/** In that order. */
export const pinMutations: readonly Mutation[] = [
  {
    name: "a home does not send drains",
    rules: [32],
    changes: [
      {
        file: "services/scheduler/sessions/drain-sender.ts",
        find: "      session.drain(graceMs);\n",
        replace: "",
      },
    ],
  },
  {
    name: "what was asked to drain gets work",
    rules: [32],
    changes: [
      {
        file: "services/common/adapter/sql/placements.ts",
        find: "AND left_us IS NULL AND drain_us IS NULL`",
        replace: "AND left_us IS NULL`",
      },
    ],
  },
];
