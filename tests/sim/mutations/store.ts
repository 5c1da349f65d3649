/** Faults against the rules of the store, 1 to 7. */
import type { Mutation } from "./mutation.ts";

const SQL = "services/common/adapter/sql";

/** By rule. */
export const storeMutations: readonly Mutation[] = [
  {
    name: "a deadlock runs the body again without a rollback",
    rules: [1],
    changes: [
      {
        file: "services/common/adapter/sqlite/database.ts",
        find: "      const result = await body(session);",
        replace: `      let result;
      for (;;) {
        try {
          result = await body(session);
          break;
        } catch (error) {
          if (!(error instanceof SqliteBusy)) throw error;
        }
      }`,
      },
    ],
  },
  {
    name: "a result of an earlier attempt ends the current one",
    rules: [2],
    changes: [
      {
        file: `${SQL}/attempt-ends.ts`,
        find: `return runs && int(row, "attempt") === key.attempt && textOrNull(row, "fence") === fenceText(key.fence);`,
        replace: "return runs && key.attempt > 0;",
      },
      {
        file: `${SQL}/attempt-ends.ts`,
        find: "    key: ending.key,\n    ending,",
        replace: `    key: { ...ending.key, attempt: int(row, "attempt") },\n    ending,`,
      },
    ],
  },
  {
    name: "a result ends its attempt again although it has ended",
    rules: [2],
    changes: [
      {
        file: `${SQL}/attempt-ends.ts`,
        find: "return runs && int(row",
        replace: "return (runs || state > 0) && int(row",
      },
    ],
  },
  {
    name: "the offset is stored before its results",
    rules: [3],
    changes: [
      {
        file: `${SQL}/results.ts`,
        find: `    return await db.transact("results", async (session) => {
      if (offsets !== null) await moveOffset(session, offsets);`,
        replace: `    if (offsets !== null) await db.transact("result_offsets", (session) => moveOffset(session, offsets));
    return await db.transact("results", async (session) => {`,
      },
    ],
  },
  {
    name: "the offset is not compared",
    rules: [3],
    changes: [
      {
        file: `${SQL}/results.ts`,
        find: "WHERE part = ? AND generation = ? AND next_offset = ?`",
        replace: "WHERE part = ? AND generation = ? AND next_offset >= COALESCE(NULL, 0, ?)`",
      },
    ],
  },
  {
    name: "all results that came with a refused one are unstorable",
    rules: [4],
    changes: [
      {
        file: `${SQL}/results.ts`,
        find: "  if (endings.length === 1 && only !== undefined) return await storeUnstorable(db, random, only);",
        replace: `  if (only !== undefined) {
    const outcomes: ResultOutcome[] = [];
    for (const ending of endings) outcomes.push(...(await storeUnstorable(db, random, ending)));
    return outcomes;
  }`,
      },
    ],
  },
  {
    name: "a refused result is tried for ever",
    rules: [4],
    changes: [
      {
        file: `${SQL}/results.ts`,
        find: "    if (error instanceof AssertionFault) throw error;\n    return null;",
        replace:
          "    if (error instanceof AssertionFault) throw error;\n    throw new StoreUnavailable(String(error));",
      },
    ],
  },
  {
    name: "a request_id that is known makes another execution",
    rules: [5],
    changes: [
      {
        file: `${SQL}/requests.ts`,
        find: `    if (text(row, "result_id") === use.resultId) return { kind: "new" };`,
        replace: `    if (text(row, "result_id") !== "") return { kind: "new" };`,
      },
    ],
  },
  {
    name: "the same request_id with another body is a repeat",
    rules: [5],
    changes: [
      {
        file: `${SQL}/requests.ts`,
        find: `    if (text(row, "body_hash") !== use.request.bodyHash) return { kind: "reused" };\n`,
        replace: "",
      },
    ],
  },
  {
    name: "a commit of unknown outcome is taken for done",
    rules: [5],
    changes: [
      {
        file: `${SQL}/submit.ts`,
        find: "const answers = await answersOf(db, group, run.outcomes);",
        replace: "const answers = run.outcomes;",
      },
    ],
  },
  {
    name: "a claim of unknown outcome is taken for done",
    rules: [5, 6],
    changes: [
      { file: `${SQL}/claims.ts`, find: "return await standingClaims(db, tried);", replace: "return [...tried];" },
    ],
  },
  {
    name: "a claim takes the worst rank first",
    rules: [6],
    changes: [
      {
        file: `${SQL}/claims.ts`,
        find: "ORDER BY claim_rank, ready_us, execution_id LIMIT ?",
        replace: "ORDER BY claim_rank DESC, ready_us, execution_id LIMIT ?",
      },
    ],
  },
  {
    name: "a claim takes what another route waits with",
    rules: [6],
    changes: [
      {
        file: `${SQL}/claims.ts`,
        find: "FROM executions WHERE claim_route = ?\n",
        replace: "FROM executions WHERE claim_route >= ? - 9223372036854775807\n",
      },
    ],
  },
  {
    name: "a retry gives its gate back and so does its end",
    rules: [7],
    changes: [
      {
        file: `${SQL}/attempt-ends.ts`,
        find: "if (isFinal(one.settlement.state) && one.gatesHeld)",
        replace: "if ((isFinal(one.settlement.state) || one.readyUs !== null) && one.gatesHeld)",
      },
    ],
  },
  {
    name: "a gate is not given back after a failure",
    rules: [7],
    changes: [
      {
        file: `${SQL}/attempt-ends.ts`,
        find: "if (isFinal(one.settlement.state) && one.gatesHeld)",
        replace: `if (one.settlement.state === "SUCCEEDED" && isFinal("SUCCEEDED") && one.gatesHeld)`,
      },
    ],
  },
  {
    name: "one is admitted without room",
    rules: [7],
    changes: [
      {
        file: `${SQL}/gates.ts`,
        find: "if (blocked === null && queue === 0) {",
        replace: `if ((blocked === null || user.overlap === "QUEUE_ALL") && queue === 0) {`,
      },
    ],
  },
  {
    name: "room that is given back is not tried",
    rules: [7],
    changes: [
      {
        file: `${SQL}/gates.ts`,
        find: "        if (gate.waiting > 0) this.#tryBy(gate, this.#nowUs);\n      });\n    }\n  }\n\n  /** Counts one more",
        replace: "      });\n    }\n  }\n\n  /** Counts one more",
      },
    ],
  },
  {
    name: "what ends and was not FAILED is in no list by its state",
    rules: [1],
    changes: [
      {
        file: `${SQL}/execution-end.ts`,
        find: `return isFinal(state) && state !== "SUCCEEDED";`,
        replace: `return state === "FAILED";`,
      },
    ],
  },
];
