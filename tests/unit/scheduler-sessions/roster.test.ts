import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExecutorProfile } from "../../../services/common/domain/executor.ts";
import type { Route } from "../../../services/common/domain/route.ts";
import { HomedExecutor } from "../../../services/scheduler/sessions/homed-executor.ts";
import { Roster } from "../../../services/scheduler/sessions/roster.ts";
import { testProfile } from "../../support/executor-profile.ts";

const COMMAND: Route = { kind: "command", method: "", namespace: "default", labels: {}, pin: null };
const METHOD = "demo.Reports/Render";
const HANDLER: Route = { ...COMMAND, kind: "handler", method: METHOD };
const LIMITED = { kind: "handler", method: METHOD, descriptorHash: "ab", slots: 2 } as const;

function setup() {
  const roster = new Roster();
  let grown = 0;
  roster.onRoomGrown(() => {
    grown += 1;
  });
  const join = (name: string, free: number, changes: Partial<ExecutorProfile> = {}, sessionNumber = 1) => {
    const executor = new HomedExecutor(testProfile(name, changes), sessionNumber, { sendOrder: () => true });
    roster.join(executor);
    hear(executor, free, 0);
    return executor;
  };
  const hear = (executor: HomedExecutor, free: number, receivedCount: number) =>
    roster.beat(executor, [{ capabilityIndex: null, free, receivedCount }]);
  return { roster, join, hear, grown: () => grown };
}

test("rule 20: room is free less what was sent and not confirmed", () => {
  const { roster, join, hear } = setup();
  const one = join("one", 2);
  assert.notEqual(roster.reserve(COMMAND), null);
  assert.notEqual(roster.reserve(COMMAND), null);
  assert.equal(roster.reserve(COMMAND), null, "both slots are given out");
  hear(one, 2, 0);
  assert.equal(roster.room(COMMAND), 0, "a beat from before they arrived gives no room");
  hear(one, 1, 1);
  assert.equal(roster.room(COMMAND), 0, "one runs, the other is on its way");
  hear(one, 2, 2);
  assert.equal(roster.room(COMMAND), 2, "both arrived and ended");
});

test("rule 20: a reservation that was never sent is room again; one of an earlier session is not", () => {
  const { roster, join } = setup();
  join("one", 1);
  const placement = roster.reserve(COMMAND);
  assert.ok(placement);
  roster.release(placement, COMMAND);
  assert.equal(roster.room(COMMAND), 1);
  const before = roster.reserve(COMMAND);
  assert.ok(before);
  join("one", 1, {}, 2);
  assert.ok(roster.reserve(COMMAND));
  roster.release(before, COMMAND);
  assert.equal(roster.room(COMMAND), 0, "the new session's ledger does not know the old reservation");
});

test("rule 20: a capability's own slots limit it, and the executor's limit both", () => {
  const { roster, join } = setup();
  const one = join("one", 3, { capabilities: [{ kind: "command" }, LIMITED] });
  roster.beat(one, [
    { capabilityIndex: null, free: 3, receivedCount: 0 },
    { capabilityIndex: 1, free: 2, receivedCount: 0 },
  ]);
  assert.equal(roster.room(HANDLER), 2);
  assert.equal(roster.reserveMany(HANDLER, 10).length, 2);
  assert.equal(roster.room(COMMAND), 1);
  assert.equal(roster.reserveMany(COMMAND, 10).length, 1);
  assert.equal(roster.anyRoom(), false);
});

test("rule 20: keys that the executor counted and this home did not take no room for good", () => {
  const { roster, join, hear } = setup();
  const one = join("one", 4, { capabilities: [{ kind: "command" }, LIMITED] });
  // A stop told it of a key that was never sent under this session.
  hear(one, 4, 1);
  assert.equal(roster.room(COMMAND), 4);
  assert.equal(roster.reserveMany(COMMAND, 10).length, 4, "no more than it has");
});

test("rule 20: a key that a stop overtook does not hold its capability's slot for ever", () => {
  const { roster, join } = setup();
  const one = join("one", 4, { capabilities: [{ kind: "command" }, LIMITED] });
  const counts = (received: number, own: number) => [
    { capabilityIndex: null, free: 4, receivedCount: received },
    { capabilityIndex: 1, free: 2, receivedCount: own },
  ];
  roster.beat(one, counts(0, 0));
  assert.ok(roster.reserve(HANDLER));
  roster.beat(one, counts(1, 0));
  assert.equal(roster.room(HANDLER), 2);
});

test("rule 20: what came back for want of room makes its executor full until its next beat", () => {
  const { roster, join, hear, grown } = setup();
  const one = join("one", 2);
  roster.full(one.profile.executorId);
  assert.equal(roster.reserve(COMMAND), null);
  const before = grown();
  hear(one, 2, 0);
  assert.ok(roster.reserve(COMMAND));
  assert.equal(grown(), before + 1, "the beat tells of room");
});

test("LEAST_LOADED takes the executor with the most room, again after each", () => {
  const { roster, join } = setup();
  join("small", 1);
  join("large", 3);
  const taken = roster.reserveMany(COMMAND, 10).map(({ executorId }) => executorId);
  assert.deepEqual(taken.slice(0, 2), ["large", "large"]);
  assert.deepEqual(taken.toSorted(), ["large", "large", "large", "small"]);
});

test("a route is run by those that have its capability, namespace and labels, and by its pin alone", () => {
  const { roster, join } = setup();
  join("plain", 1);
  join("labelled", 1, { labels: { zone: "a" }, namespaces: ["other"] });
  const labelled: Route = { ...COMMAND, namespace: "other", labels: { zone: "a" } };
  assert.equal(roster.reserve(labelled)?.executorId, "labelled");
  assert.equal(roster.matching({ ...COMMAND, labels: { zone: "b" } }), false);
  assert.equal(roster.matching(HANDLER), false);
  const pinned: Route = { ...COMMAND, pin: testProfile("plain").executorId };
  assert.equal(roster.reserve(pinned)?.executorId, "plain");
});

test("one that joins or goes is seen by routes that were matched before", () => {
  const { roster, join } = setup();
  assert.equal(roster.matching(COMMAND), false);
  const one = join("one", 1);
  assert.equal(roster.matching(COMMAND), true);
  roster.remove(one);
  assert.equal(roster.matching(COMMAND), false);
  assert.equal(roster.size, 0);
});

test("one that leaves or is silent gets nothing, and comes back with room told", () => {
  const { roster, join, grown } = setup();
  const one = join("one", 1);
  for (const mark of [roster.setDraining, roster.setSuspect]) {
    mark.call(roster, one, true);
    assert.equal(roster.reserve(COMMAND), null);
    const before = grown();
    mark.call(roster, one, false);
    assert.equal(grown(), before + 1);
    assert.equal(roster.room(COMMAND), 1);
  }
});

test("rule 30: one whose key is gone gets nothing until it is there again; the last view stands while the registry is away", () => {
  const { roster, join } = setup();
  join("keyed", 1, { registered: true });
  join("keyless", 1);
  roster.setPresent(new Set());
  assert.equal(roster.room(COMMAND), 1, "one without a key is always present");
  roster.setPresent(null);
  assert.equal(roster.room(COMMAND), 1, "what was gone stays gone");
  join("newcomer", 1, { registered: true });
  assert.equal(roster.room(COMMAND), 2, "a newcomer's Hello counts while nobody can look");
  roster.setPresent(new Set(["keyed", "newcomer"]));
  assert.equal(roster.room(COMMAND), 3);
});

test("ten thousand reservations of an executor of a thousand slots take less than a second", () => {
  const { roster, join, hear } = setup();
  const executors = Array.from({ length: 4 }, (_, index) => join(`executor-${index}`, 1_000, { slots: 1_000 }));
  const began = performance.now();
  for (let round = 1; round <= 10; round += 1) {
    assert.equal(roster.reserveMany(COMMAND, 1_000).length, 1_000);
    for (const executor of executors) hear(executor, 1_000, round * 250);
  }
  const tookMs = performance.now() - began;
  assert.ok(tookMs < 1_000, `took ${tookMs} ms`);
});
