import type { Random } from "../../port/random.ts";
import { EtcdClient } from "./client.ts";
import { EtcdRegistry, type EtcdRegistryConfig, type EtcdRegistryDeps } from "./registry.ts";

/** A registry on the etcd behind these endpoints; `start` asks it for the first time. */
export function openEtcdRegistry(
  deps: Omit<EtcdRegistryDeps, "client"> & { readonly random: Random },
  config: EtcdRegistryConfig,
): EtcdRegistry {
  const { clock, log } = deps;
  return new EtcdRegistry({ clock, log, client: new EtcdClient(deps, config.endpoints, config.tls ?? null) }, config);
}
