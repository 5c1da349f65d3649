/** Faults against rule 11: fires that are sent ahead of their time, held, and called back. */
import type { Mutation } from "./mutation.ts";

const SQL = "services/common/adapter/sql";

/** What is held. */
export const heldMutations: readonly Mutation[] = [
  {
    name: "what is held starts at once",
    rules: [11],
    changes: [
      {
        file: "services/executor/held-attempts.ts",
        find: "|| mesh.nowUs() < holdUntilUs;",
        replace: "|| mesh.nowUs() < 0;",
      },
    ],
  },
  {
    name: "a stop of what is held is not sent, nor waited for",
    rules: [11, 25],
    changes: [
      {
        file: "services/scheduler/sessions/stop-sender.ts",
        find: "      if (stop === null || session === undefined)",
        replace:
          '      if (stop?.reason === "PAUSED" || stop?.reason === "SUPERSEDED") continue;\n      if (stop === null || session === undefined)',
      },
      {
        file: "services/scheduler/api/held-waits.ts",
        find: "for (let waiting = held; waiting.length > 0; ) {",
        replace: "for (let waiting = held.slice(0, 0); waiting.length > 0; ) {",
      },
    ],
  },
  {
    name: "what is held is not called back",
    rules: [11],
    changes: [
      {
        file: `${SQL}/held-fires.ts`,
        find: '  } else if (int(row, "stop_reason") !== stopReasonNumber("CANCEL")) {',
        replace: '  } else if (int(row, "stop_reason") < 0 && stopReasonNumber("CANCEL") > 0) {',
      },
    ],
  },
  {
    name: "what was superseded runs the old target",
    rules: [11],
    changes: [{ file: `${SQL}/called-back.ts`, find: "      target.bytes,\n", replace: "      old.target.bytes,\n" }],
  },
  {
    name: "a fire goes ahead through a gate without room",
    rules: [7, 11],
    changes: [
      {
        file: `${SQL}/fires.ts`,
        find: "return isNear && gates.hasRoom(execution) && ",
        replace: "return isNear || gates.hasRoom(execution) && ",
      },
    ],
  },
  {
    name: "what came back keeps its gates",
    rules: [7, 11],
    changes: [
      {
        file: `${SQL}/attempt-ends.ts`,
        find: "if (isCalledBack(one.settlement) && one.gatesHeld) gates.give",
        replace: "if (isCalledBack(one.settlement) && !one.gatesHeld) gates.give",
      },
    ],
  },
  {
    name: "what is held for its time counts as an earlier one",
    rules: [7, 11],
    changes: [
      {
        file: `${SQL}/gates.ts`,
        find: "const held = isEarlier && this.#ahead.has(key) ? holders - 1 : holders;",
        replace: "const held = isEarlier && this.#ahead.has(key) ? holders : holders;",
      },
    ],
  },
  {
    name: "CANCEL_RUNNING ends what is held for its time",
    rules: [7, 11],
    changes: [
      {
        file: `${SQL}/overlapped.ts`,
        find: "rows.filter((row) => !isAhead(row, nowUs) && inWay.has(",
        replace: "rows.filter((row) => inWay.has(",
      },
    ],
  },
  {
    name: "what is to cancel what runs waits behind what is queued",
    rules: [7],
    changes: [
      {
        file: `${SQL}/admission.ts`,
        find: "return leader === undefined ? rows : [leader,",
        replace: "return leader === undefined || rows.length > 0 ? rows : [leader,",
      },
    ],
  },
];
