import { loadConfig } from "../../common/config/load-config.ts";
import { renderHelp } from "../../common/config/render-settings.ts";
import type { Store } from "../../common/port/store.ts";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { SystemRandom } from "../../common/runtime/system-random.ts";
import { refuseArguments } from "../no-arguments.ts";
import { startStore } from "../start-store.ts";

/** `jobmesh migrate`: brings the store's schema up to date, as each start of a scheduler does. */
export async function run(argv: readonly string[]): Promise<number> {
  const { config, help, rest } = loadConfig("migrate", { env: process.env, argv });
  if (help) {
    process.stdout.write(renderHelp("migrate", "jobmesh migrate [options]"));
    return 0;
  }
  refuseArguments("migrate", rest);
  const { store, name } = await startStore(config, { clock: new SystemClock(), random: new SystemRandom() });
  try {
    if (config.relist) await relistAll(store);
  } finally {
    await store.stop();
  }
  process.stdout.write(`${name} is up to date\n`);
  return 0;
}

/** Part by part, each a transaction of its own: it may be cut off and run again. */
async function relistAll({ retention }: Store): Promise<void> {
  let place = await retention.relist(null);
  while (place !== null) place = await retention.relist(place);
}
