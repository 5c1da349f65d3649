/** Rules 27, 29 and 35: what goes by Kafka, and output. */
import type { Mutation } from "./mutation.ts";

const PARTITION_CHECK = "services/scheduler/results/partition-check.ts";
const RESULT_PARTITION = "services/executor/result-partition.ts";

/** Faults of the bus's two ends, and of output. */
export const busMutations: readonly Mutation[] = [
  {
    name: "a topic that ends too early is not noticed",
    rules: [27],
    changes: [
      {
        file: PARTITION_CHECK,
        find: "if (bounds.endOffset < nextOffset || bounds.lowOffset > nextOffset) return",
        replace: "if (bounds.lowOffset > nextOffset) return",
      },
      {
        file: "services/scheduler/results/result-reader.ts",
        find: "&& endOffset < stored.nextOffset) await",
        replace: "&& endOffset < 0) await",
      },
    ],
  },
  {
    name: "the generation is not raised",
    rules: [27],
    changes: [
      {
        file: "services/common/adapter/sql/offsets.ts",
        find: "SET generation = generation + 1, next_offset",
        replace: "SET next_offset",
      },
    ],
  },
  {
    name: "results of an older generation are not produced again",
    rules: [27],
    changes: [
      {
        file: RESULT_PARTITION,
        find: "const again = [...this.#standing].filter((kept) => !kept.gone);",
        replace: "const again: KeptResult[] = [];",
      },
    ],
  },
  {
    name: "an offset that falls is not noticed",
    rules: [27],
    changes: [
      {
        file: RESULT_PARTITION,
        find: "|| offset < kept.floorOffset) this.#remade = true;",
        replace: "&& offset < kept.floorOffset) this.#remade = false;",
      },
    ],
  },
  {
    name: "an order for another incarnation is taken",
    rules: [29],
    changes: [
      {
        file: "services/executor/attempts.ts",
        find: "if (order.incarnation !== identity.incarnation || order.executorId",
        replace: "if (order.executorId",
      },
    ],
  },
  {
    name: "an order for another executor of the lane is taken",
    rules: [29],
    changes: [
      {
        file: "services/executor/attempts.ts",
        find: "if (order.incarnation !== identity.incarnation || order.executorId !== identity.executorId) return;",
        replace: 'if (way === "session" && order.incarnation !== identity.incarnation) return;',
      },
    ],
  },
  {
    name: "Hello is said before the lane stands",
    rules: [29],
    changes: [
      {
        file: "services/executor/executor.ts",
        find: "await Promise.all([lane?.start(this.#config.laneWaitMs, signal), membership",
        replace: "void lane?.start(this.#config.laneWaitMs, signal);\n    await Promise.all([membership",
      },
      {
        file: "services/executor/executor-parts.ts",
        find: "lane: this.lane?.joined ?? null,",
        replace: "lane: this.lane === null ? null : this.#config.lane,",
      },
    ],
  },
  {
    name: "output is acknowledged before it is stored",
    rules: [35],
    changes: [
      {
        file: "services/scheduler/sessions/session.ts",
        find: "    checkOutput(piece);\n",
        replace: "    checkOutput(piece);\n    this.#outputAcks.stored(piece.key, piece.sequence);\n",
      },
    ],
  },
  {
    name: "output is not sent again after Hello",
    rules: [35],
    changes: [
      {
        file: "services/executor/output-queue.ts",
        find: "for (const queue of [this.#sent, this.#waiting]) {",
        replace: "for (const queue of [this.#waiting]) {",
      },
    ],
  },
];
