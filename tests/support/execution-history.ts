import { randomExecutionId } from "../../services/common/domain/execution-id.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { newExecution, type StoreSetup, submitAll } from "./execution-store.ts";

/** READY executions, one a millisecond after a time: made by the engine, from one that was submitted. */
export async function addHistory(setup: StoreSetup, startMs: number, count: number): Promise<void> {
  const [model] = await submitAll(setup, [
    newExecution({
      executionId: randomExecutionId(startMs, new SystemRandom().bytes(10)),
      scheduledUs: startMs * 1_000,
      readyUs: startMs * 1_000,
    }),
  ]);
  const [row] = await setup.rows("SELECT * FROM executions WHERE execution_id = ?", model?.executionId ?? "");
  const columns = Object.keys(row ?? {}).filter((column) => column !== "execution_id");
  // The lowest identifiers of a millisecond each: 12 digits of time, then the tail of the model's.
  const id =
    setup.kind === "mysql"
      ? `CONCAT(LEFT(LPAD(HEX(${startMs} + n), 12, '0'), 8), '-', RIGHT(HEX(${startMs} + n), 4), '-7000-8000-000000000000')`
      : `substr(printf('%012x', ${startMs} + n), 1, 8) || '-' || substr(printf('%012x', ${startMs} + n), 9) || '-7000-8000-000000000000'`;
  const numbers = "WITH RECURSIVE numbers (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)";
  const limit = setup.kind === "mysql" ? "max_recursive_iterations" : "";
  for (let from = 1; from <= count; from += 10_000) {
    await setup.sql(async (session) => {
      if (limit !== "") await session.execute(`SET SESSION ${limit} = 100000`);
      await session.execute(
        `INSERT INTO executions (execution_id, ${columns.join(", ")})
          ${numbers} SELECT LOWER(${id}), ${columns.map((column) => `m.${column}`).join(", ")}
          FROM numbers JOIN executions m ON m.execution_id = ?`,
        [from, Math.min(from + 9_999, count), model?.executionId ?? ""],
      );
    });
  }
}
