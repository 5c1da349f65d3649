import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import type { DescriptorSet } from "../../services/common/port/store-descriptors.ts";
import { storeTest } from "../support/store.ts";
import { uniqueName } from "../support/unique-name.ts";

function setOf(...methods: string[]): DescriptorSet {
  const bytes = randomBytes(2_000);
  return { hash: createHash("sha256").update(bytes).digest("hex"), bytes, methods };
}

storeTest("a set of descriptors is read as it was put", async ({ store }) => {
  const service = uniqueName("reports.Service");
  const set = setOf(`${service}/Print`, `${service}/Render`);
  assert.deepEqual(await store.descriptors.missing([set.hash]), [set.hash]);
  await store.descriptors.put(set);
  await store.descriptors.put(set);
  assert.deepEqual(await store.descriptors.missing([set.hash, "0".repeat(64)]), ["0".repeat(64)]);
  assert.deepEqual(await store.descriptors.missing([]), []);
  assert.deepEqual(await store.descriptors.forMethod(`${service}/Render`), set);
  assert.equal(await store.descriptors.forMethod(`${service}/Other`), null);
});

storeTest("the latest set that has the method answers", async ({ store }) => {
  const service = uniqueName("reports.Service");
  const [older, newer] = [setOf(`${service}/A`, `${service}/B`), setOf(`${service}/A`)];
  await store.descriptors.put(older);
  await store.descriptors.put(newer);
  assert.equal((await store.descriptors.forMethod(`${service}/A`))?.hash, newer.hash);
  assert.equal((await store.descriptors.forMethod(`${service}/B`))?.hash, older.hash);
  await store.descriptors.put(older);
  assert.equal((await store.descriptors.forMethod(`${service}/A`))?.hash, older.hash);
});
