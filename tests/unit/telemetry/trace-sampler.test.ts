import assert from "node:assert/strict";
import { test } from "node:test";
import { TraceSampler } from "../../../services/common/telemetry/trace-sampler.ts";
import { parseTraceparent } from "../../../services/common/telemetry/traceparent.ts";

// OpenTelemetry takes a trace by its id's own number: the first of these is below one half, the second above.
const LOW = "00000000000000000000000000000001";
const HIGH = "ffffffff000000000000000000000000";
const PARENTS = [
  `00-${LOW}-b7ad6b7169203331-00`,
  `00-${LOW}-b7ad6b7169203331-01`,
  `00-${HIGH}-b7ad6b7169203331-00`,
  `00-${HIGH}-b7ad6b7169203331-01`,
];

const expected = {
  always_on: { roots: [true, true], children: [true, true, true, true] },
  always_off: { roots: [false, false], children: [false, false, false, false] },
  traceidratio: { roots: [true, false], children: [true, true, false, false] },
  parentbased_always_on: { roots: [true, true], children: [false, true, false, true] },
  parentbased_always_off: { roots: [false, false], children: [false, true, false, true] },
  parentbased_traceidratio: { roots: [true, false], children: [false, true, false, true] },
} as const;

for (const [name, { roots, children }] of Object.entries(expected)) {
  test(`${name} takes what OpenTelemetry's sampler of that name takes, by both questions`, () => {
    const sampler = new TraceSampler({ tracesSampler: name as keyof typeof expected, tracesSamplerRatio: 0.5 });
    assert.deepEqual(
      [LOW, HIGH].map((traceId) => sampler.takes(traceId, null)),
      roots,
    );
    for (const [index, text] of PARENTS.entries()) {
      const parent = parseTraceparent(text) ?? assert.fail(text);
      assert.equal(sampler.takes(parent.traceId, parent), children[index], text);
      assert.equal(sampler.continues(text), children[index], text);
    }
  });
}

test("nothing continues what is no trace", () => {
  for (const tracesSampler of ["traceidratio", "parentbased_always_on"] as const) {
    const sampler = new TraceSampler({ tracesSampler, tracesSamplerRatio: 1 });
    for (const text of ["", "x", "x".repeat(55)]) assert.equal(sampler.continues(text), false);
  }
});
