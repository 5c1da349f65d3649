import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { loadConfig } from "../../../services/common/config/load-config.ts";
import { type Capability, MAX_LANES } from "../../../services/common/domain/executor.ts";
import type { Fence, Incarnation } from "../../../services/common/domain/identifier.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { checkHello, MAX_TAKEN_KEYS } from "../../../services/scheduler/sessions/hello-check.ts";
import { testProfile } from "../../support/executor-profile.ts";
import { testExecution } from "../../support/new-execution.ts";
import { schedulerCore } from "../../support/scheduler-core.ts";
import { ScriptedExecutor } from "../../support/scripted-executor.ts";

const HASH = "ab".repeat(32);
const handler = (changes: Partial<Capability & { kind: "handler" }> = {}): Capability => ({
  kind: "handler",
  method: "demo.Reports/Render",
  descriptorHash: HASH,
  slots: 0,
  ...changes,
});

/** Fields that a Hello is refused for. */
function faultsOf(...parameters: Parameters<typeof testProfile>): string[] {
  try {
    checkHello({
      kind: "hello",
      profile: testProfile(...parameters),
      sessionNumber: 1,
      taken: [],
      previousIncarnation: null,
    });
    return [];
  } catch (error) {
    assert.ok(error instanceof JobmeshError && error.code === "INVALID_ARGUMENT");
    return error.fieldViolations.map(({ field }) => field.replace("hello.", ""));
  }
}

test("a Hello names every field at fault at once", () => {
  assert.deepEqual(faultsOf("one"), []);
  assert.deepEqual(
    faultsOf("a b", { incarnation: "" as Incarnation, slots: 0, lane: MAX_LANES, version: "v".repeat(65) }),
    ["executor_id", "incarnation", "version", "slots", "lane"],
  );
  assert.deepEqual(faultsOf("one", { namespaces: ["ok", "not ok"] }), ["namespaces[1]"]);
  assert.deepEqual(faultsOf("one", { labels: { ["k".repeat(64)]: "v", ok: "v".repeat(64) } }).length, 2);
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`label-${index}`, ""]));
  assert.deepEqual(faultsOf("one", { labels: many }), ["labels"]);
});

test("a Hello's handlers have a method, a hash, slots within the executor's, and are named once", () => {
  assert.deepEqual(faultsOf("one", { capabilities: [{ kind: "command" }, handler({ slots: 4 })] }), []);
  assert.deepEqual(faultsOf("one", { capabilities: [handler({ method: "Render", descriptorHash: "ab", slots: 5 })] }), [
    "capabilities[0].handler.method",
    "capabilities[0].handler.descriptor_hash",
    "capabilities[0].handler.slots",
  ]);
  assert.deepEqual(faultsOf("one", { capabilities: [handler(), handler()] }), ["capabilities[1]"]);
  const unknown = handler({ method: "", descriptorHash: "" });
  assert.deepEqual(faultsOf("one", { capabilities: [unknown, unknown, { kind: "http" }] }), []);
});

test("a Hello's handler without descriptors has no hash; half a hash is none", () => {
  assert.deepEqual(faultsOf("one", { capabilities: [handler({ descriptorHash: "" })] }), []);
  assert.deepEqual(faultsOf("one", { capabilities: [handler({ descriptorHash: "ab".repeat(31) })] }), [
    "capabilities[0].handler.descriptor_hash",
  ]);
});

test("every lane that JOBMESH_LANES allows is taken, and no further one", () => {
  assert.deepEqual(faultsOf("one", { lane: MAX_LANES - 1 }), []);
  const lanes = (count: number) => loadConfig("executor", { env: { JOBMESH_LANES: String(count) }, argv: [] });
  assert.equal(lanes(MAX_LANES).config.laneCount, MAX_LANES);
  assert.throws(() => lanes(MAX_LANES + 1), /JOBMESH_LANES/);
  assert.deepEqual(faultsOf("one", { lane: MAX_LANES }), ["lane"]);
});

test("a Hello's lists have their limits", () => {
  const methods = (count: number) =>
    Array.from({ length: count }, (_, index) => handler({ method: `demo.Reports/Render${index}` }));
  const names = (count: number) => Array.from({ length: count }, (_, index) => `namespace-${index}`);
  assert.deepEqual(faultsOf("one", { capabilities: methods(1_000), namespaces: names(1_000) }), []);
  assert.deepEqual(faultsOf("one", { capabilities: methods(1_001), namespaces: names(1_001) }), [
    "namespaces",
    "capabilities",
  ]);
  const { executionId } = testExecution(0);
  const key = { executionId, attempt: 1, fence: 1n as Fence };
  const withTaken = (count: number) =>
    checkHello({
      kind: "hello",
      profile: testProfile("one"),
      sessionNumber: 1,
      taken: Array.from({ length: count }, () => key),
      previousIncarnation: null,
    });
  withTaken(MAX_TAKEN_KEYS);
  assert.throws(() => withTaken(MAX_TAKEN_KEYS + 1), /hello.taken/);
});

test("Welcome gives the terms; one without a key in the registry has the longer lease", async (t) => {
  const core = await schedulerCore(t);
  const keyless = await core.join("keyless", null);
  const keyed = await core.join("keyed", null, { registered: true, lane: 3 });
  assert.deepEqual(keyless.of("welcome"), [
    {
      kind: "welcome",
      schedulerId: "scheduler-1",
      heartbeatIntervalMs: 1_000,
      leaseTtlMs: 45_000,
      reportDelayMs: 250,
      missingDescriptorHashes: [],
    },
  ]);
  assert.equal(keyed.of("welcome")[0]?.leaseTtlMs, 5_000);
  const records = await core.store.executors.live();
  assert.deepEqual(
    records
      .toSorted((a, b) => (a.lane ?? -1) - (b.lane ?? -1))
      .map(({ executorId, home, lane }) => ({ executorId, home, lane })),
    [
      { executorId: "keyless", home: "scheduler-1", lane: null },
      { executorId: "keyed", home: "scheduler-1", lane: 3 },
    ],
  );
});

test("a stream begins with Hello, and has it once", async (t) => {
  const core = await schedulerCore(t);
  const rude = new ScriptedExecutor(testProfile("rude"), core.sessions);
  rude.beat(1);
  const twice = await core.join("twice", 1);
  twice.hello({ sessionNumber: 2 });
  await core.clock.settle();
  assert.equal(rude.closedBy?.reason, "PROTOCOL_VIOLATION");
  assert.equal(twice.closedBy?.reason, "PROTOCOL_VIOLATION");
  assert.equal(core.roster.size, 0);
});

test("a stream that says nothing is ended after ten seconds", async (t) => {
  const core = await schedulerCore(t);
  const silent = new ScriptedExecutor(testProfile("silent"), core.sessions);
  await core.clock.advance(9_999);
  assert.equal(silent.open, true);
  await core.clock.advance(1);
  assert.equal(silent.closedBy?.code, "DEADLINE_EXCEEDED");
});

test("a Hello with a fault ends the stream, and nothing is stored", async (t) => {
  const core = await schedulerCore(t);
  const bad = new ScriptedExecutor(testProfile("bad", { slots: -1 }), core.sessions);
  bad.hello();
  await core.clock.settle();
  assert.deepEqual(
    bad.closedBy?.fieldViolations.map(({ field }) => field),
    ["hello.slots"],
  );
  assert.deepEqual(await core.store.executors.live(), []);
});

test("what comes right behind Hello is handled after Welcome, in order", async (t) => {
  const core = await schedulerCore(t);
  const eager = new ScriptedExecutor(testProfile("eager"), core.sessions);
  eager.hello();
  eager.beat(3);
  await core.clock.settle();
  assert.deepEqual(
    eager.heard.map(({ kind }) => kind),
    ["welcome", "heartbeat_ack"],
  );
  assert.equal(core.roster.get(eager.profile.executorId)?.room, 3);
});

test("a stream that breaks while its Hello is judged leaves no session", async (t) => {
  const core = await schedulerCore(t);
  const executor = new ScriptedExecutor(testProfile("one"), core.sessions);
  core.base.before.statement = (name) => (name === "executor.register" ? executor.drop() : undefined);
  executor.hello();
  await core.clock.settle();
  assert.equal((await core.store.executors.live()).length, 1, "it was registered");
  assert.equal(core.roster.size, 0);
  assert.deepEqual([...core.sessions.sessions()], []);
});

test("what comes behind Hello before its answer has a limit", async (t) => {
  const core = await schedulerCore(t);
  const executor = new ScriptedExecutor(testProfile("one"), core.sessions);
  let said = false;
  core.base.before.statement = async (name) => {
    if (name !== "executor.register" || said) return;
    said = true;
    executor.say(...Array.from({ length: 10_001 }, () => ({ kind: "unknown" as const })));
    await core.clock.settle();
  };
  executor.hello();
  await core.clock.settle();
  await core.clock.settle();
  assert.equal(executor.closedBy?.reason, "OVERLOADED");
});

test("rule 16: a lost incarnation is refused for ever", async (t) => {
  const core = await schedulerCore(t);
  const first = await core.join("one", 1);
  const [record] = await core.store.executors.live();
  assert.ok(record);
  await core.store.executors.declareLost(record.executorId, record.incarnation, record.heardUs);
  first.drop();
  const again = await core.join("one", null, {}, 2);
  assert.equal(again.closedBy?.reason, "EXECUTOR_LOST");
  assert.equal(again.closedBy?.code, "FAILED_PRECONDITION");
});

test("rule 23: a second process under an executor_id is refused while the first lives, unless it names it", async (t) => {
  const core = await schedulerCore(t);
  const first = await core.join("one", 1);
  const second = { incarnation: "one-2" as Incarnation };
  const refused = await core.join("one", null, second);
  assert.equal(refused.closedBy?.reason, "EXECUTOR_ID_TAKEN");
  assert.equal(refused.closedBy?.retryDelayMs, 1_000);
  assert.equal(first.open, true, "the first one goes on");
  const named = new ScriptedExecutor(testProfile("one", second), core.sessions);
  named.hello({ previousIncarnation: first.profile.incarnation });
  await core.clock.settle();
  assert.equal(named.of("welcome").length, 1);
  assert.equal(first.closedBy?.reason, "SESSION_SUPERSEDED");
});

test("rule 20: a higher session number takes over; a lower one is refused", async (t) => {
  const core = await schedulerCore(t);
  const first = await core.join("one", 2);
  const second = await core.join("one", 1, {}, 2);
  assert.equal(first.closedBy?.reason, "SESSION_SUPERSEDED");
  assert.equal(core.roster.get(second.profile.executorId)?.room, 1);
  const late = await core.join("one", null, {}, 1);
  assert.equal(late.closedBy?.reason, "SESSION_SUPERSEDED");
  assert.equal(second.open, true);
});

test("while the store is away a Hello is UNAVAILABLE", async (t) => {
  const core = await schedulerCore(t);
  core.outage.names = [];
  const executor = await core.join("one", null);
  assert.equal(executor.closedBy?.code, "UNAVAILABLE");
});

test("rule 19: attempts of Hello that the store does not have as current are stopped", async (t) => {
  const core = await schedulerCore(t);
  const before = await core.join("one", 1);
  await core.submitter.submit({ execution: testExecution(core.nowUs()), request: null });
  await core.clock.settle();
  const current = before.orders[0]?.key;
  assert.ok(current);
  const stranger = { ...current, fence: (current.fence ^ 1n) as Fence };
  before.drop();
  const after = new ScriptedExecutor(before.profile, core.sessions);
  after.hello({ sessionNumber: 2, taken: [stranger, current] });
  await core.clock.settle();
  assert.deepEqual(
    after.stops.map(({ key, reason }) => ({ key, reason })),
    [{ key: stranger, reason: "CANCEL" }],
  );
});

test("descriptors that the mesh does not have are asked for, checked and stored with their methods", async (t) => {
  const core = await schedulerCore(t);
  const set = await readFile(new URL("../../../gen/image.binpb", import.meta.url));
  const hash = createHash("sha256").update(set).digest("hex");
  const method = "jobmesh.v1.JobService/CreateJob";
  const capabilities = [handler({ method, descriptorHash: hash })];
  const executor = await core.join("one", 1, { capabilities });
  assert.deepEqual(executor.of("welcome")[0]?.missingDescriptorHashes, [hash]);
  executor.say({ kind: "descriptors", descriptorSets: [set] });
  await core.clock.settle();
  const stored = await core.store.descriptors.forMethod("default", method);
  assert.equal(stored?.hash, hash);
  assert.ok(stored?.methods.includes("jobmesh.v1.ExecutionService/GetExecution"));
  assert.ok(!stored?.methods.includes("jobmesh.v1.ExecutorService/Session"), "a stream is no handler");
  const next = await core.join("two", null, { capabilities });
  assert.deepEqual(next.of("welcome")[0]?.missingDescriptorHashes, []);
});

test("descriptors that no capability names, that are none, or lack the method end the session", async (t) => {
  const core = await schedulerCore(t);
  const set = await readFile(new URL("../../../gen/image.binpb", import.meta.url));
  const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  const junk = Buffer.from([0xff, 0xff]);
  const cases = [
    { descriptorHash: HASH, bytes: set },
    { descriptorHash: hashOf(junk), bytes: junk },
    { descriptorHash: hashOf(set), bytes: set },
  ];
  for (const [index, { descriptorHash, bytes }] of cases.entries()) {
    const executor = await core.join(`one-${index}`, 1, { capabilities: [handler({ descriptorHash })] });
    executor.say({ kind: "descriptors", descriptorSets: [bytes] });
    await core.clock.settle();
    assert.equal(executor.closedBy?.code, "INVALID_ARGUMENT", `case ${index}`);
  }
});
