/** The executor's side as a process: runs the commands of its arguments, says what happens in JSON lines. */
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { Spawner } from "../../../services/executor/spawner/spawner.ts";
import { SystemSpawnerHost } from "../../../services/executor/spawner/system-spawner-host.ts";

const [folder = "", silence = "", ...commands] = process.argv.slice(2);
const deps = {
  clock: new SystemClock(),
  random: new SystemRandom(),
  log: silentLogger,
  host: new SystemSpawnerHost(folder),
};
const spawner = new Spawner(deps, { silenceMs: silence === "null" ? null : Number(silence) });

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function run(command: string, index: number): Promise<void> {
  const env = { PATH: process.env.PATH ?? "/bin" };
  const spec = { command, args: [], env, workingDirectory: "" };
  const running = spawner.run(spec, {
    onOutput: () => {},
    onStart: (_startUs, pid) => say({ event: "started", index, pid }),
  });
  say({ event: "ended", index, result: await running.result });
}

await spawner.start();
say({ event: "ready", spawner: spawner.processId });
await Promise.all(commands.map(run));
