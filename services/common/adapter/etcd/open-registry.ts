import { EtcdClient } from "./client.ts";
import { EtcdRegistry, type EtcdRegistryConfig, type EtcdRegistryDeps } from "./registry.ts";

/** A registry on the etcd behind these endpoints; `start` asks it for the first time. */
export function openEtcdRegistry(deps: Omit<EtcdRegistryDeps, "client">, config: EtcdRegistryConfig): EtcdRegistry {
  const { clock, log } = deps;
  return new EtcdRegistry({ clock, log, client: new EtcdClient(clock, config.endpoints) }, config);
}
