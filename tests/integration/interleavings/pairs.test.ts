/**
 * Every pair of kinds of transactions against each other on a real server, in every order of their statements: the
 * invariants hold after each, and what loses to a deadlock runs again by itself.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { kinds } from "../../support/interleaved-kinds.ts";
import { InterleavedPairs } from "../../support/interleaved-pairs.ts";

const pairs = new InterleavedPairs();
const total = { pairs: 0, orders: 0, waits: 0, reruns: 0 };

for (const [at, first] of kinds.entries()) {
  test(`rule 1: ${first.name} beside every other kind of transaction, in every order of their statements`, async (t) => {
    for (const second of kinds.slice(at)) {
      await t.test(second.name, async () => {
        const { orders, waits, reruns } = await pairs.run(first, second);
        assert.ok(orders > 0);
        total.pairs += 1;
        total.orders += orders;
        total.waits += waits;
        total.reruns += reruns;
      });
    }
  });
}

test("the number of interleavings", (t) => {
  const { orders, waits, reruns } = total;
  t.diagnostic(
    `${total.pairs} pairs, ${orders} orders, ${waits} waits for a lock, ${reruns} runs again after a deadlock`,
  );
  assert.equal(total.pairs, (kinds.length * (kinds.length + 1)) / 2);
});
