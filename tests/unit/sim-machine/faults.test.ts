/** Rule 22 under faults in random order: nothing outlives its executor, and one seed gives one history. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommandResult } from "../../../services/executor/spawner/command-spec.ts";
import { Setup, SILENCE_MS, type SimExecutor } from "./setup.ts";

const SEEDS = 60;
const STEPS = 40;

/** Faults and commands in an order that the seed gives, with the promises of rule 22 held against each step. */
class Storm {
  readonly setup: Setup;
  #executor: SimExecutor;
  readonly ends: string[] = [];

  static async open(seed: number): Promise<Storm> {
    const setup = new Setup(seed);
    return new Storm(setup, await setup.started());
  }

  private constructor(setup: Setup, executor: SimExecutor) {
    this.setup = setup;
    this.#executor = executor;
  }

  async step(): Promise<void> {
    const { machine } = this.setup;
    const { process } = this.#executor;
    switch (this.#draw(10)) {
      case 0:
        machine.killSpawner();
        break;
      case 1:
        machine.killSpawnerInFork();
        break;
      case 2:
        machine.spawner?.pause();
        break;
      case 3:
        machine.spawner?.resume();
        break;
      case 4:
        process.pause();
        break;
      case 5:
        if (this.#draw(8) === 0) machine.reboot();
        else process.kill();
        await this.setup.pass(this.#draw(3_000));
        await this.#startAgain();
        break;
      default:
        process.resume();
        for (let count = this.#draw(4); count > 0; count--) this.#run();
    }
    await this.setup.pass(this.#draw(2_000));
  }

  async end(): Promise<void> {
    this.#executor.process.resume();
    this.setup.machine.spawner?.resume();
    await this.setup.until(this.#executor.spawner.stop());
    assert.deepEqual(this.setup.machine.running, []);
    assert.deepEqual(this.setup.machine.folders, []);
  }

  async #startAgain(): Promise<void> {
    const { machine } = this.setup;
    this.#executor = this.setup.executor();
    let left = -1;
    // Read in the turn in which start resolves, before anybody could run a command.
    const started = this.#executor.spawner.start().then(() => {
      left = machine.running.length;
    });
    await this.setup.until(started);
    assert.equal(left, 0, "rule 22: commands of the process before run beside the next one's");
  }

  #run(): void {
    const { machine } = this.setup;
    const plan = {
      durationMs: this.#draw(2 * SILENCE_MS),
      ignoresTerm: this.#draw(2) === 0,
      lines: ["line"],
      lingersMs: this.#draw(3) === 0 ? 60_000 : 0,
    };
    const command = this.#executor.run(plan, this.#draw(3) === 0 ? 1_000 : undefined);
    const check = ({ outcome, processId }: CommandResult): void => {
      this.ends.push(`${outcome.kind} ${Math.round(this.setup.timeline.nowMs)}`);
      const lives = machine.running.some(({ pid }) => pid === processId);
      assert.ok(!lives, "rule 22: the end of a command was said before its group was gone");
    };
    void command.result.then(check);
  }

  #draw(below: number): number {
    return Math.floor(this.setup.random.unit() * below);
  }
}

async function storm(seed: number): Promise<Storm> {
  const run = await Storm.open(seed);
  for (let step = 0; step < STEPS; step++) await run.step();
  await run.end();
  return run;
}

test(`rule 22: through ${SEEDS} storms of ${STEPS} faults nothing outlives its executor`, async () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { ends } = await storm(seed);
    for (const end of ends) kinds.add(end.split(" ")[0] ?? "");
  }
  assert.deepEqual([...kinds].sort(), ["cut_off", "exited", "timed_out"]);
});

test("one seed gives one history", async () => {
  const [one, other] = [await storm(5), await storm(5)];
  assert.deepEqual(other.setup.history, one.setup.history);
  assert.deepEqual(other.ends, one.ends);
  assert.equal(other.setup.timeline.events, one.setup.timeline.events);
  assert.notDeepEqual((await storm(6)).ends, one.ends);
});
