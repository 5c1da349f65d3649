/** Faults against the rule of the feed: 34. Its second pass is not seen by the simulator, whose store has one writer. */
import type { Mutation } from "./mutation.ts";

const FEED = "services/scheduler/feed";

/** All of one rule. */
export const feedMutations: readonly Mutation[] = [
  {
    name: "a hint moves the place behind which all is told",
    rules: [34],
    changes: [
      {
        file: `${FEED}/feed-reading.ts`,
        find: "      if (endedUs !== null && !this.#seen.add({ endedUs, executionId })) continue;\n",
        replace:
          "      if (endedUs !== null && !this.#seen.add({ endedUs, executionId })) continue;\n      if (endedUs !== null) this.#settled = { endedUs, executionId };\n",
      },
    ],
  },
  {
    name: "ends of one microsecond are taken for one",
    rules: [34],
    changes: [
      {
        file: `${FEED}/feed-reading.ts`,
        find: "page.places.filter((place) => !this.#seen.has(place))",
        replace:
          "page.places.filter((place, at, all) => !this.#seen.has(place) && all[at - 1]?.endedUs !== place.endedUs)",
      },
    ],
  },
  {
    name: "a watch that resumes begins with what comes next",
    rules: [34],
    changes: [
      {
        file: "services/scheduler/api/execution-watch.ts",
        find: "let isBehind = this.#wanted.after !== null;",
        replace: "let isBehind = false;",
      },
    ],
  },
  {
    name: "the cursor of execution.v1 moves before what ended is acknowledged",
    rules: [34],
    changes: [
      {
        file: `${FEED}/ended-exporter.ts`,
        find: "await Promise.all(executions.map((execution) => this.#write(execution)));",
        replace: "void Promise.all(executions.map((execution) => this.#write(execution))).catch(() => {});",
      },
    ],
  },
  {
    name: "an end that Kafka did not take is passed over",
    rules: [34],
    changes: [
      {
        file: `${FEED}/ended-exporter.ts`,
        find: 'if (!(thrown instanceof JobmeshError) || thrown.reason !== "MESSAGE_TOO_LARGE") throw thrown;',
        replace: 'if (!(thrown instanceof JobmeshError) || thrown.reason !== "MESSAGE_TOO_LARGE") return;',
      },
    ],
  },
  {
    name: "who takes over execution.v1 begins at what ends from now on",
    rules: [34],
    changes: [
      {
        file: `${FEED}/ended-exporter.ts`,
        find: "    const cursor = await store.feed.cursor(EVENTS_CURSOR);\n",
        replace:
          "    const stood = await store.feed.cursor(EVENTS_CURSOR);\n    const cursor = placeAt(await store.nowUs());\n    await store.feed.moveCursor(EVENTS_CURSOR, stood, cursor);\n",
      },
    ],
  },
];
