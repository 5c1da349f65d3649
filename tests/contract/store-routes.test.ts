import assert from "node:assert/strict";
import type { RouteId } from "../../services/common/domain/identifier.ts";
import { routeIdOf, routeText } from "../../services/common/domain/route.ts";
import { storeTest } from "../support/store.ts";
import { uniqueName } from "../support/unique-name.ts";

function textOf(namespace: string): string {
  return routeText({ kind: "command", method: "", namespace, labels: { zone: "ä" }, pin: null });
}

storeTest("rule 6: texts of routes are found by all 63 bits of their id", async ({ store }) => {
  const texts = Array.from({ length: 20 }, () => textOf(uniqueName("ns")));
  await store.routes.ensure(texts);
  const ids = texts.map(routeIdOf);
  assert.ok(ids.some((id) => id > 2n ** 53n));
  const found = await store.routes.texts([...ids, 1n as RouteId]);
  assert.deepEqual([...found.entries()].toSorted(), ids.map((id, at) => [id, texts[at]]).toSorted());
  assert.equal((await store.routes.texts([])).size, 0);
});

storeTest("texts that are there are left alone, whoever comes at the same time", async ({ store }) => {
  const texts = Array.from({ length: 8 }, () => textOf(uniqueName("ns")));
  await Promise.all([store.routes.ensure(texts), store.routes.ensure(texts.toReversed()), store.routes.ensure([])]);
  await store.routes.ensure(texts);
  assert.equal((await store.routes.texts(texts.map(routeIdOf))).size, 8);
});
