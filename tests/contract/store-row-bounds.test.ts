/** What a row of an execution takes: at its bound it is stored whole, beyond it it is refused alone, or its text is cut. */
import assert from "node:assert/strict";
import type { NewExecution } from "../../services/common/domain/execution.ts";
import { newExecution, onEveryStore, submission } from "../support/execution-store.ts";

const { target } = newExecution();
/** Five keys, which are as long together as the column has them, one a line. */
const gateKeys = (length: number): string[] =>
  Array.from({ length: 5 }, (_, index) => `limit:${index}:`.padEnd(index < 4 ? 200 : length - 804, "g"));
/** A map that is as long as JSON. */
const labels = (bytes: number): Record<string, string> => ({ a: "x".repeat(bytes - '{"a":""}'.length) });

const bounds: readonly [string, (length: number) => Partial<NewExecution>, number][] = [
  ["method", (length) => ({ target: { ...target, kind: "handler", method: "m".repeat(length) } }), 255],
  ["gate keys", (length) => ({ gateKeys: gateKeys(length) }), 1_024],
  ["traceparent", (length) => ({ traceparent: "0".repeat(length) }), 55],
  ["labels", (length) => ({ labels: labels(length) }), 65_535],
];

onEveryStore("each part of a row is stored at its bound, and one past it is refused alone", async ({ store }) => {
  for (const [name, parts, bound] of bounds) {
    const [fits, isLong] = [newExecution(parts(bound)), newExecution(parts(bound + 1))];
    const outcomes = await store.submit([submission(fits), submission(isLong)]);
    const kinds = outcomes.map(({ kind }) => kind);
    assert.deepEqual(kinds, ["stored", "refused"], name);
    const stored = await store.get(fits.executionId);
    assert.deepEqual(
      [stored?.target.method, stored?.gateKeys, stored?.traceparent, stored?.labels],
      [fits.target.method, fits.gateKeys, fits.traceparent, fits.labels],
    );
  }
});

onEveryStore("a text of people is cut at its bound, between characters", async ({ store }) => {
  const cases: readonly [Partial<NewExecution>, (name: string, summary: string, tracestate: string) => void][] = [
    [{ name: "n".repeat(255) }, (name) => assert.equal(name.length, 255)],
    [{ name: `${"n".repeat(254)}😀` }, (name) => assert.equal(name, "n".repeat(254))],
    [{ target: { ...target, summary: "s".repeat(1_025) } }, (_, summary) => assert.equal(summary.length, 1_024)],
    [{ tracestate: "t".repeat(513) }, (_name, _summary, tracestate) => assert.equal(tracestate.length, 512)],
  ];
  for (const [parts, check] of cases) {
    const execution = newExecution(parts);
    await store.submit([submission(execution)]);
    const stored = (await store.get(execution.executionId)) ?? assert.fail();
    check(stored.name, stored.target.summary, stored.tracestate);
  }
});
