import { registerNameSource } from "../common/rpc/name-resolver.ts";
import { registryNames } from "../common/rpc/registry-names.ts";
import { silentLogger } from "../common/runtime/log.ts";
import { SystemClock } from "../common/runtime/system-clock.ts";
import { SystemRandom } from "../common/runtime/system-random.ts";
import { openRegistry } from "./open-backends.ts";

/** Makes `etcd:///NAME` resolve in this process. */
export async function openMeshNames(config: Parameters<typeof openRegistry>[0]): Promise<{ close(): Promise<void> }> {
  const deps = { clock: new SystemClock(), random: new SystemRandom(), log: silentLogger };
  const registry = await openRegistry(config, deps);
  await registry.start();
  const unregister = registerNameSource(registryNames(registry));
  return {
    close: async () => {
      unregister();
      await registry.stop();
    },
  };
}
