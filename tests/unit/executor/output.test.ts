import assert from "node:assert/strict";
import { test } from "node:test";
import { setup, WAYS, type Work } from "./setup.ts";

const KIB = 1024;

/** Writes so many lines of so many bytes. */
function writer(lines: number, bytes: number): Work {
  return (_request, { log }) => {
    for (let line = 0; line < lines; line++) log.info("x".repeat(bytes));
    return Buffer.alloc(0);
  };
}

for (const way of WAYS) {
  test(`rule 35: a result says how many pieces were written, and all of them are sent, by ${way}`, async (t) => {
    const rig = await setup(t, { way, work: writer(3, 10) });
    const { key } = await rig.dispatch();
    assert.equal(rig.result(key).outputPieceCount, 3);
    const pieces = rig.homes.all("output").map(({ piece }) => piece);
    assert.deepEqual(
      pieces.map(({ sequence }) => sequence),
      [1, 2, 3],
    );
    assert.deepEqual(pieces[0]?.key, key);
    assert.equal(rig.executor.status.outputBytes, 0);
  });

  test(`rule 35: output that was not acknowledged is sent again after Hello, by ${way}`, async (t) => {
    const rig = await setup(t, { way, work: writer(3, 10), manners: { store: false } });
    const { key } = await rig.dispatch();
    rig.homes.last.say({ kind: "output_ack", key, sequence: 1 });
    await rig.clock.settle();
    rig.homes.last.close();
    await rig.clock.advance(50);
    assert.deepEqual(
      rig.homes.last.all("output").map(({ piece }) => piece.sequence),
      [2, 3],
    );
  });
}

test("rule 35: output waits at 256 KiB unacknowledged and never delays a heartbeat", async (t) => {
  const rig = await setup(t, { work: writer(20, 64 * KIB), manners: { store: false } });
  const { key } = await rig.dispatch();
  const sent = () => rig.homes.last.all("output").map(({ piece }) => piece.sequence);
  assert.deepEqual(sent(), [1, 2, 3, 4]);
  const beats = rig.homes.last.all("heartbeat").length;
  await rig.clock.advance(2_000);
  assert.equal(rig.homes.last.all("heartbeat").length, beats + 2);
  rig.homes.last.say({ kind: "output_ack", key, sequence: 2 });
  await rig.clock.settle();
  assert.deepEqual(sent(), [1, 2, 3, 4, 5, 6]);
});

test("rule 35: an acknowledgement of one attempt gives room although an older piece of another waits", async (t) => {
  const rig = await setup(t, { work: writer(2, 64 * KIB), manners: { store: false } });
  await rig.dispatch();
  const second = await rig.dispatch();
  await rig.dispatch();
  assert.equal(rig.homes.last.all("output").length, 4);
  rig.homes.last.say({ kind: "output_ack", key: second.key, sequence: 2 });
  await rig.clock.settle();
  assert.equal(rig.homes.last.all("output").length, 6);
});

test("a long line is cut into pieces of 64 KiB", async (t) => {
  const rig = await setup(t, { work: writer(1, 100 * KIB) });
  const { key } = await rig.dispatch();
  assert.equal(rig.result(key).outputPieceCount, 2);
  assert.deepEqual(
    rig.homes.all("output").map(({ piece }) => piece.data.length),
    [64 * KIB, 36 * KIB],
  );
});

test("what does not fit is dropped, and counted in front of the next piece", async (t) => {
  const rig = await setup(t, {
    work: async (_request, { log, signal }) => {
      for (let line = 0; line < 5; line++) log.info("x".repeat(10 * KIB));
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      log.info("last");
      return Buffer.alloc(0);
    },
    config: { maxWaitingOutputBytes: 32 * KIB },
  });
  const order = await rig.dispatch(rig.order({ timeoutMs: 10 }));
  await rig.clock.advance(20);
  const last = rig.homes.all("output").at(-1)?.piece;
  assert.equal(Buffer.from(last?.data ?? []).toString(), "last");
  assert.equal(last?.droppedBytes, 2 * 10 * KIB);
  assert.equal(rig.result(order.key).outputPieceCount, last?.sequence);
});

test("a handler's lines are bounded for each attempt", async (t) => {
  const rig = await setup(t, { work: writer(10, KIB), config: { maxHandlerOutputBytes: 4 * KIB } });
  const { key } = await rig.dispatch();
  assert.equal(rig.result(key).outputPieceCount, 4);
});

test("fields that JSON cannot say do not fail the handler", async (t) => {
  const circle: { count: bigint; self?: unknown } = { count: 7n };
  const rig = await setup(t, {
    work: (_request, { log }) => {
      log.error("big", circle);
      circle.self = circle;
      log.error("round", circle);
      return Buffer.alloc(0);
    },
  });
  const { key } = await rig.dispatch();
  assert.equal(rig.result(key).outcome.kind, "succeeded");
  const fields = rig.homes.all("output").map(({ piece }) => piece.fieldsJson);
  assert.equal(fields[0], '{"count":"7"}');
  assert.match(fields[1] ?? "", /^\{"fieldsError":/);
});
