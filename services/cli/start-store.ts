import { join } from "node:path";
import { openStore } from "../common/adapter/open-store.ts";
import { describeStore, type StoreTarget } from "../common/config/shared-settings.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import { type Store, StoreInUse, StoreTooNew, StoreUnavailable } from "../common/port/store.ts";

/** Name of the data file in the data folder. */
const DATA_FILE = "jobmesh.db";

/** Opens and migrates the store of a process; what is in the way is one clear line. */
export async function startStore(
  config: { readonly store: StoreTarget | null; readonly dataDir: string; readonly adoptTimeZone: string },
  deps: { readonly clock: Clock; readonly random: Random },
): Promise<{ readonly store: Store; readonly name: string }> {
  const target: StoreTarget = config.store ?? { kind: "sqlite", path: join(config.dataDir, DATA_FILE) };
  const { adoptTimeZone } = config;
  const store = openStore(target.kind === "mysql" ? target.url : `sqlite:${target.path}`, { ...deps, adoptTimeZone });
  const name = describeStore(target);
  try {
    await store.start();
  } catch (cause) {
    throw startFault(name, target, cause);
  }
  return { store, name };
}

function startFault(name: string, target: StoreTarget, cause: unknown): unknown {
  const words = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof StoreTooNew) return new JobmeshError("STORE_TOO_NEW", { message: `${name}: ${words}`, cause });
  if (cause instanceof StoreInUse)
    return new JobmeshError("DATA_DIR_UNUSABLE", { message: `${name}: ${words}`, cause });
  if (!(cause instanceof StoreUnavailable)) return cause;
  const reason = target.kind === "sqlite" ? "DATA_DIR_UNUSABLE" : "STORE_UNAVAILABLE";
  return new JobmeshError(reason, { message: `${name}: ${words}`, cause });
}
