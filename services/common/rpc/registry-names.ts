import { parseHostPort } from "../config/listen-address.ts";
import type { Registry } from "../port/registry.ts";
import type { NameSource } from "./name-resolver.ts";

/** Names of the mesh by its registry: the addresses of a name's live members. */
export function registryNames(registry: Registry): NameSource {
  return {
    watch: (name, onChange, onError) => {
      let live = true;
      let unwatch = (): void => {};
      // The resolver wants no callback before this returns, and a registry in memory answers at once.
      queueMicrotask(() => {
        if (!live) return;
        unwatch = registry.watch(name, (members) => {
          const addresses = members.flatMap(({ address }) => parseHostPort(address) ?? []);
          if (addresses.length > 0) onChange(addresses);
          else onError(new Error(`no live member of ${name} is registered`));
        });
      });
      return () => {
        live = false;
        unwatch();
      };
    },
  };
}
