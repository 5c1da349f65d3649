import { MeshClient } from "../client/mesh-client.ts";
import { type LoadedConfig, loadConfig } from "../common/config/load-config.ts";
import type { ClientConfig } from "../common/config/process-settings.ts";
import { renderHelp } from "../common/config/render-settings.ts";

/** A command that calls the mesh: its client, what is left of its arguments, and how to let go. */
export type Connection = {
  readonly client: MeshClient;
  readonly config: ClientConfig;
  readonly rest: readonly string[];
  close(): Promise<void>;
};

/** Target where nothing else is said: the embedded mesh. */
export const DEFAULT_TARGET = "127.0.0.1:7070";

/** Reads the settings of a client and connects; null after `--help`, which is printed. */
export async function connect(argv: readonly string[], usage: string): Promise<Connection | null> {
  const loaded: LoadedConfig<ClientConfig> = loadConfig("client", { env: process.env, argv });
  if (loaded.help) {
    process.stdout.write(renderHelp("client", usage));
    return null;
  }
  const { config, rest } = loaded;
  const names = config.etcdEndpoints === null ? null : await openNames(config.etcdEndpoints, config.cluster);
  const target = config.scheduler ?? (names === null ? DEFAULT_TARGET : "etcd:///scheduler");
  const client = new MeshClient({ target, waitForReady: names !== null });
  return {
    client,
    config,
    rest,
    close: async () => {
      client.close();
      await names?.close();
    },
  };
}

async function openNames(endpoints: readonly string[], cluster: string): Promise<{ close(): Promise<void> }> {
  const { openMeshNames } = await import("./mesh-names.ts");
  return openMeshNames(endpoints, cluster);
}
