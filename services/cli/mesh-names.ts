import { registerNameSource } from "../common/rpc/name-resolver.ts";
import { registryNames } from "../common/rpc/registry-names.ts";
import { silentLogger } from "../common/runtime/log.ts";
import { SystemClock } from "../common/runtime/system-clock.ts";
import { SystemRandom } from "../common/runtime/system-random.ts";
import { openRegistry } from "./open-backends.ts";

/** Makes `etcd:///NAME` resolve in this process. */
export async function openMeshNames(
  etcdEndpoints: readonly string[],
  cluster: string,
): Promise<{ close(): Promise<void> }> {
  const deps = { clock: new SystemClock(), random: new SystemRandom(), log: silentLogger };
  const registry = await openRegistry({ etcdEndpoints, cluster }, deps);
  await registry.start();
  const unregister = registerNameSource(registryNames(registry));
  return {
    close: async () => {
      unregister();
      await registry.stop();
    },
  };
}
