import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryRegistry } from "../../../services/common/adapter/memory/registry.ts";
import { registerNameSource } from "../../../services/common/rpc/name-resolver.ts";
import { registryNames } from "../../../services/common/rpc/registry-names.ts";
import { clock, failureOf, setup, startServer, textOf } from "./setup.ts";

test("a name of the mesh reaches each live server that is registered under it, in turn", async (t) => {
  const registry = new MemoryRegistry(clock);
  t.after(() => registry.stop());
  t.after(registerNameSource(registryNames(registry)));
  const { outcome } = setup(t);
  const target = { address: "etcd:///reports" };
  const { reason, message } = failureOf(await outcome(target));
  assert.equal(reason, "grpc:UNAVAILABLE");
  assert.match(message, /etcd:\/\/\/reports: no live member of reports is registered/);
  const answering = (name: string) =>
    startServer(t, { render: (_call, answer) => answer(null, { text: name, sum: 0n }) });
  const register = (instance: string, address: string) =>
    registry.register({ name: "reports", instance, address, metadata: {} }, 3_000);
  const [one, two] = [await answering("one"), await answering("two")];
  await register("one", one.address);
  const lease = await register("two", two.address);
  const answered = async (calls: number): Promise<string[]> => {
    const names = new Set<string>();
    for (let call = 0; call < calls; call++) {
      const ended = await outcome(target);
      if (ended.kind === "succeeded") names.add(textOf(ended));
    }
    return [...names].sort();
  };
  await settled(async () => (await answered(4)).join() === "one,two");
  await lease.revoke();
  await settled(async () => (await answered(4)).join() === "one");
  assert.deepEqual(await answered(10), ["one"]);
});

/** Calls until the connections stand as they should; each round is real calls, so it ends. */
async function settled(isSettled: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 1_000; round++) if (await isSettled()) return;
  assert.fail("the connections did not settle");
}
