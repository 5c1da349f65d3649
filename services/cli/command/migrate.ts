import { loadConfig } from "../../common/config/load-config.ts";
import { renderHelp } from "../../common/config/render-settings.ts";
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
  await store.stop();
  process.stdout.write(`${name} is up to date\n`);
  return 0;
}
