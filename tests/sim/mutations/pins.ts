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
  {
    name: "the turn does not move",
    rules: [32],
    changes: [
      {
        file: "services/common/adapter/sql/pins.ts",
        find: "UPDATE pin_turns SET taken = taken + ? WHERE",
        replace: "UPDATE pin_turns SET taken = taken + 0 * ? WHERE",
      },
    ],
  },
  {
    name: "a pin is of whoever lives",
    rules: [32],
    changes: [
      {
        file: "services/common/adapter/sql/pins.ts",
        find: "as ExecutorProfile, route))",
        replace: "as ExecutorProfile, { ...route, labels: {} }))",
      },
    ],
  },
  {
    name: "what is to be pinned is claimed by anyone",
    rules: [32],
    changes: [
      {
        file: "services/common/domain/executor.ts",
        find: "route.pin !== null && route.pin !== profile.executorId",
        replace: 'route.pin !== null && route.pin !== "" && route.pin !== profile.executorId',
      },
    ],
  },
  {
    name: "CANCEL_RUNNING waits and cancels nothing",
    rules: [7],
    changes: [
      {
        file: "services/common/adapter/sql/overlapped.ts",
        find: ") AND stop_reason <> ?`",
        replace: ") AND stop_reason > 100 + ?`",
      },
    ],
  },
  {
    name: "CANCEL_RUNNING does not wait until what it cancels has ended",
    rules: [7],
    changes: [
      {
        file: "services/common/adapter/sql/gates.ts",
        find: `user.overlap === "ALLOW" || held === 0;`,
        replace: `user.overlap === "ALLOW" || user.overlap === "CANCEL_RUNNING" || held === 0;`,
      },
    ],
  },
];
