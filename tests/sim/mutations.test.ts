/** The judges can see: every planted fault is caught, by a verdict, on the seed that docs/simulator.md names. */
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { catchOf, HUNTED_SEEDS } from "./hunt.ts";
import { mutations } from "./mutations.ts";
import { run } from "./run.ts";
import { readTable } from "./table.ts";

const table = readTable();

test("docs/simulator.md has a row for each mutation, and no other", () => {
  const named = table.map(({ mutation, rules }) => `${rules}: ${mutation}`);
  assert.deepEqual(named.sort(), mutations.map(({ name, rules }) => `${rules.join(", ")}: ${name}`).sort());
  for (const { seed, mutation } of table) assert.ok(seed >= 1 && seed <= HUNTED_SEEDS, `${mutation}: seed ${seed}`);
});

test("every mutation is caught on its seed by its checker", { concurrency: availableParallelism() }, async (t) => {
  const caught = mutations.map((mutation) =>
    t.test(mutation.name, async () => {
      const row = table.find((one) => one.mutation === mutation.name);
      assert.ok(row !== undefined);
      const { caught } = await catchOf(mutation, row.seed, 1);
      assert.equal(caught?.checker, row.checker, caught?.what ?? "not caught");
    }),
  );
  await Promise.all(caught);
});

test("the code without a mutation breaks no promise on the same seeds", async () => {
  for (const seed of new Set(table.map((row) => row.seed))) {
    const { verdict } = await run({ seed });
    assert.equal(verdict, null, `seed ${seed}: ${verdict?.checker}: ${verdict?.what}`);
  }
});
