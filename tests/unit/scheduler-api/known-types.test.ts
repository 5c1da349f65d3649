import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownTypes } from "../../../services/scheduler/api/known-types.ts";
import { descriptorSet } from "../../support/descriptor-sets.ts";
import { testApi } from "./setup.ts";

const made = (name: string, comment = "") =>
  descriptorSet({ pkg: name, service: "S", methods: ["M"], messages: { [`X${comment}`]: [] } });

test("parsed sets are kept up to a number and to their bytes; the oldest is read again", async (t) => {
  const api = await testApi(t);
  const { descriptors } = api.store;
  let reads = 0;
  api.base.before.statement = (name, sql) => {
    if (name === "descriptor.bytes_of" && sql.startsWith("SELECT")) reads += 1;
  };
  const readsOf = async (types: KnownTypes, hash: string): Promise<number> => {
    const before = reads;
    assert.ok((await types.ofSet(hash)) !== null);
    return reads - before;
  };
  const small = Array.from({ length: 257 }, (_, at) => made(`small${at}.v1`));
  const large = Array.from({ length: 10 }, (_, at) => made(`large${at}.v1`, "x".repeat(1024 * 1024 - 200)));
  for (const [sets, kept] of [
    [small, 256],
    [large, 8],
  ] as const) {
    for (const set of sets) await descriptors.put(set);
    const types = new KnownTypes(descriptors, api.clock);
    for (const { hash } of sets) assert.equal(await readsOf(types, hash), 1);
    const last = sets.slice(-kept);
    for (const { hash } of last) assert.equal(await readsOf(types, hash), 0, "it is kept");
    assert.equal(await readsOf(types, sets.at(-kept - 1)?.hash ?? ""), 1, "it had to go");
  }
});

test("which set is the latest of a method is read again after a second, and at once where there was none", async (t) => {
  const api = await testApi(t);
  const { descriptors } = api.store;
  const types = new KnownTypes(descriptors, api.clock);
  const [older, newer] = [made("a.v1", "1"), made("a.v1", "2")];
  assert.equal(await types.of("default", "a.v1.S/M"), null);
  await descriptors.put(older);
  const first = await types.of("default", "a.v1.S/M");
  assert.ok(first !== null);
  await api.clock.advance(10);
  await descriptors.put(newer);
  assert.equal(await types.of("default", "a.v1.S/M"), first);
  await api.clock.advance(1_000);
  const second = await types.of("default", "a.v1.S/M");
  assert.equal(second, await types.ofSet(newer.hash));
  assert.notEqual(second, first);
});
