/** Rules 11 and 12: what is held, and up to which bounds of time and of its uncertainty. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import { holdUntilUs } from "../../../services/common/domain/held-fire.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { HeldAttempts } from "../../../services/executor/held-attempts.ts";
import { MeshTime } from "../../../services/executor/mesh-time.ts";
import { AheadSlots } from "../../../services/scheduler/dispatch/ahead-slots.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { testExecution } from "../../support/new-execution.ts";
import { schedulerCore } from "../../support/scheduler-core.ts";

test("rule 11: what was sent 300 ms ahead is held; what lies further off is no hold", () => {
  assert.equal(holdUntilUs({ readyUs: 1_300_000, dispatchUs: 1_000_000 }), 1_300_000);
  assert.equal(holdUntilUs({ readyUs: 1_300_001, dispatchUs: 1_000_000 }), null);
});

test("rule 12: an executor holds nothing for a time that is known worse than 100 ms", async () => {
  for (const [roundTripMs, holds] of [
    [200, true],
    [201, false],
  ] as const) {
    const clock = new ManualClock();
    const mesh = new MeshTime(clock);
    const sentMs = clock.monotonicMs();
    await clock.advance(roundTripMs);
    mesh.observe(sentMs, clock.wallUs());
    const held = new HeldAttempts({ clock, mesh, onDue: () => {} });
    const order = { holdUntilUs: mesh.nowUs() } as DispatchOrder;
    assert.equal(held.fault(order) === null, holds, `${mesh.uncertaintyMs} ms`);
  }
});

test("rule 12: nothing is sent ahead of a time that is known worse than 100 ms", async (t: TestContext) => {
  const core = await schedulerCore(t);
  await core.join("a", 4);
  const uncertainty = { us: 0 };
  const meshClock = { nowUs: () => core.nowUs(), uncertaintyUs: () => uncertainty.us };
  const slots = new AheadSlots({ ...core, meshClock, random: new SystemRandom() });
  const job = { ...testExecution(core.nowUs()), policy: defaultPolicy };
  uncertainty.us = 100_000;
  const ahead = slots.reserve(job);
  assert.ok(ahead !== null);
  slots.follow(ahead, null);
  uncertainty.us = 100_001;
  assert.equal(slots.reserve(job), null);
});
