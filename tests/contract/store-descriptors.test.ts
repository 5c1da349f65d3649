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
  assert.deepEqual(await store.descriptors.forMethod("default", `${service}/Render`), set);
  assert.equal(await store.descriptors.forMethod("default", `${service}/Other`), null);
});

storeTest("the latest set that has the method answers", async ({ store }) => {
  const service = uniqueName("reports.Service");
  const [older, newer] = [setOf(`${service}/A`, `${service}/B`), setOf(`${service}/A`)];
  await store.descriptors.put(older);
  await store.descriptors.put(newer);
  assert.equal((await store.descriptors.forMethod("default", `${service}/A`))?.hash, newer.hash);
  assert.equal((await store.descriptors.forMethod("default", `${service}/B`))?.hash, older.hash);
  await store.descriptors.put(older);
  assert.equal((await store.descriptors.forMethod("default", `${service}/A`))?.hash, older.hash);
});

storeTest("the bytes of a set are read by its hash", async ({ store }) => {
  const set = setOf(`${uniqueName("reports.Service")}/A`);
  assert.equal(await store.descriptors.bytesOf(set.hash), null);
  await store.descriptors.put(set);
  assert.deepEqual(await store.descriptors.bytesOf(set.hash), set.bytes);
});

storeTest(
  "methods are listed by name with the latest set of each, page by page while sets are put",
  async ({ store }) => {
    const service = uniqueName("reports.Service");
    const [older, newer] = [setOf(`${service}/A`, `${service}/B`, `${service}/D`), setOf(`${service}/B`)];
    const before = await store.nowUs();
    await store.descriptors.put(older);
    await store.descriptors.put(newer);
    // Other tests put methods of their own beside these.
    const own = async (pageSize: number, between: () => Promise<void> = async () => {}) => {
      const found = [];
      let token: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof store.descriptors.methods>> = await store.descriptors.methods(
          "default",
          pageSize,
          token,
        );
        assert.ok(page.items.length <= pageSize);
        found.push(...page.items.filter(({ method }) => method.startsWith(service)));
        token = page.nextToken;
        if (found.length > 0) await between();
      } while (token !== null);
      return found;
    };
    const all = await own(1_000);
    assert.deepEqual(
      all.map(({ method, hash }) => [method, hash]),
      [
        [`${service}/A`, older.hash],
        [`${service}/B`, newer.hash],
        [`${service}/D`, older.hash],
      ],
    );
    assert.ok(all.every(({ storedUs }) => storedUs >= before));
    const added = setOf(`${service}/0`, `${service}/E`);
    const paged = await own(1, () => store.descriptors.put(added));
    assert.deepEqual(
      paged.map(({ method }) => method),
      ["A", "B", "D", "E"].map((name) => `${service}/${name}`),
    );
    assert.equal((await store.descriptors.forMethod("default", `${service}/B`))?.hash, newer.hash);
    await assert.rejects(store.descriptors.methods("default", 10, "no token"), { name: "PageTokenFault" });
  },
);

storeTest(
  "a set that was put for a namespace is that namespace's alone, beside those of the whole mesh",
  async (own) => {
    const { descriptors } = own.store;
    const service = uniqueName("reports.Service");
    const [whole, put] = [setOf(`${service}/A`), setOf(`${service}/A`, `${service}/B`)];
    const latest = async (namespace: string, name: string) =>
      (await descriptors.forMethod(namespace, `${service}/${name}`))?.hash;
    const place = Buffer.from(JSON.stringify([service])).toString("base64url");
    const listed = async (namespace: string) =>
      (await descriptors.methods(namespace, 10, place)).items
        .filter(({ method }) => method.startsWith(service))
        .map(({ method, hash }) => [method.slice(service.length), hash]);
    await descriptors.put(whole);
    await descriptors.put(put, "n");
    assert.deepEqual([await latest("n", "A"), await latest("n", "B")], [put.hash, put.hash], "the later one");
    assert.deepEqual([await latest("m", "A"), await latest("m", "B")], [whole.hash, undefined]);
    const ofBoth = [
      ["/A", put.hash],
      ["/B", put.hash],
    ];
    assert.deepEqual([await listed("n"), await listed("m")], [ofBoth, [["/A", whole.hash]]]);
    assert.deepEqual((await descriptors.forMethod("n", `${service}/B`))?.methods, put.methods);
    assert.deepEqual(
      await descriptors.missing([whole.hash, put.hash]),
      [put.hash],
      "an executor's is the whole mesh's",
    );
    await descriptors.put(whole);
    assert.deepEqual([await latest("n", "A"), await latest("n", "B")], [whole.hash, put.hash], "registered after it");
    await descriptors.put(put);
    assert.deepEqual([await latest("m", "A"), await latest("m", "B")], [put.hash, put.hash]);
  },
);

storeTest("a page of methods reads a bounded number of versions, and goes on", async ({ store, sql }) => {
  const service = uniqueName("zz.Service");
  const rows = Array.from({ length: 5_200 }, (_, at) => [
    `${service}/${at < 5_100 ? "A" : "B"}`,
    at.toString(16).padStart(64, "0"),
    at,
  ]);
  await sql(async (session) => {
    for (let from = 0; from < rows.length; from += 100) {
      const some = rows.slice(from, from + 100);
      const values = some.map(() => "(?, ?, ?)").join(", ");
      await session.execute(`INSERT INTO descriptor_methods (method, hash, stored_us) VALUES ${values}`, some.flat());
    }
  });
  const place = Buffer.from(JSON.stringify([service])).toString("base64url");
  const first = await store.descriptors.methods("default", 10, place);
  assert.deepEqual(
    first.items.map(({ method }) => method),
    [`${service}/A`],
  );
  const rest = await store.descriptors.methods("default", 10, first.nextToken);
  assert.deepEqual(
    [rest.items.map(({ method, storedUs }) => [method, storedUs]), rest.nextToken],
    [[[`${service}/B`, 5_199]], null],
  );
});
