/** Faults of the store that every order of two transactions has shown, each by the pair that shows it. */
import { test } from "node:test";
import { InterleavedPairs, kindNamed } from "../../support/interleaved-pairs.ts";

const pairs = new InterleavedPairs();

test("rule 7: a gate that is made while the limit of its job changes has the new limit", async () => {
  await pairs.run(kindNamed("submit"), kindNamed("update"));
});

test("output that comes late is not left behind when its execution is deleted meanwhile", async () => {
  await pairs.run(kindNamed("retention"), kindNamed("output"));
});
