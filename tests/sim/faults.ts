/**
 * What goes wrong in a simulated mesh: with its processes, their clocks and the
 * ways between them. Every fault is healed in its time, and all of them at the
 * end.
 */
import { BackendFaults } from "./backend-faults.ts";
import { ETCD } from "./etcd.ts";
import type { ExecutorNode } from "./executor-node.ts";
import { type FaultKind, type FaultProfile, KINDS } from "./fault-profile.ts";
import { Healings } from "./healings.ts";
import { KAFKA } from "./kafka.ts";
import type { SeededRandom } from "./random.ts";
import type { SchedulerNode } from "./scheduler-node.ts";
import { drawSplit } from "./split.ts";
import { STORE } from "./store.ts";
import type { World } from "./world.ts";

/** Faults makes what the profile says. */
export class Faults {
  readonly #world: World;
  readonly #profile: FaultProfile;
  readonly #random: SeededRandom;
  readonly #healings: Healings;
  readonly #backends: BackendFaults;
  #isOver = false;
  /** Faults that were made, by kind. */
  readonly made = new Map<FaultKind, number>();

  constructor(world: World, profile: FaultProfile) {
    this.#world = world;
    this.#profile = profile;
    this.#random = world.around.random.branch("faults");
    this.#healings = new Healings(world.around);
    this.#backends = new BackendFaults(world.around, this.#random, this.#healings);
  }

  start(): void {
    if (Object.keys(this.#profile.weights).length === 0) return;
    const next = (): void => {
      if (this.#isOver) return;
      this.#one();
      this.#world.around.timeline.after(this.#random.between(0, 2 * this.#profile.gapMs), next);
    };
    this.#world.around.timeline.after(this.#random.between(0, this.#profile.gapMs), next);
  }

  /** No more faults, and an end to all that last. */
  heal(): void {
    this.#isOver = true;
    this.#healings.all();
    this.#world.around.kafka.executions.heal();
    const { schedulers, executors, twins } = this.#world;
    for (const twin of twins) twin.leave();
    for (const node of [...schedulers, ...executors]) {
      node.process?.resume();
      node.start();
    }
  }

  #one(): void {
    const { weights } = this.#profile;
    const kinds = Object.entries(weights) as [FaultKind, number][];
    const kind = drawWeighted(this.#random, kinds);
    this.made.set(kind, (this.made.get(kind) ?? 0) + 1);
    this.#make(kind, KINDS[kind] === 0 ? 0 : this.#drawLastsMs(KINDS[kind]));
  }

  /** Most faults are short; enough of them last longer than a lease. */
  #drawLastsMs(mostMs: number): number {
    return this.#random.chance(0.4) ? this.#random.between(0, mostMs) : this.#random.skewed(50, mostMs);
  }

  #make(kind: FaultKind, lastsMs: number): void {
    const { network } = this.#world.around;
    switch (kind) {
      case "kill a scheduler":
        return this.#away(this.#scheduler(), lastsMs, (node) => node.kill());
      case "kill an executor":
        return this.#away(this.#executor(), lastsMs, (node) => node.kill());
      case "cut the power":
        return this.#away(this.#node(), lastsMs, (node) => node.kill(true));
      case "restart a scheduler":
        return this.#away(this.#scheduler(), lastsMs, (node) => node.stop());
      case "rolling restart":
        return this.#roll(lastsMs);
      case "drain an executor":
        return this.#away(this.#executor(), lastsMs, (node) => node.leave());
      case "pause a process":
        return this.#pause(this.#node(), lastsMs);
      case "cut a way":
      case "cut a direction":
        return this.#cut(kind === "cut a way", lastsMs);
      case "split the mesh":
        // Losses take seconds: a short one is as good as none.
        return this.#split(this.#random.between(lastsMs, KINDS[kind]));
      case "reset streams":
        return network.reset(this.#node().name);
      case "slow network":
        return this.#healings.set(
          "the network is slow",
          network.weather,
          { slowShare: this.#random.unit(), slowMs: this.#random.skewed(10, 1_500) },
          lastsMs,
        );
      case "kill a spawner":
      case "pause a spawner":
        return this.#spawner(kind, this.#executor(), lastsMs);
      case "step a clock":
        return this.#step(this.#node(), lastsMs);
      case "a twin":
        return this.#twin(lastsMs);
      case "a ghost":
        return void this.#world.haunt();
      default:
        return this.#backends.make(kind, lastsMs);
    }
  }

  #away<N extends SchedulerNode | ExecutorNode>(node: N, lastsMs: number, end: (node: N) => void): void {
    if (node.process?.isPaused === true) node.process.resume();
    end(node);
    this.#healings.later(lastsMs, () => node.start());
  }

  /** One scheduler after the other, as an upgrade does. */
  #roll(lastsMs: number): void {
    const { schedulers, around } = this.#world;
    const eachMs = lastsMs / schedulers.length;
    for (const [at, node] of schedulers.entries()) {
      around.timeline.after(at * eachMs, () => {
        if (!this.#isOver) this.#away(node, eachMs / 2, () => node.stop());
      });
    }
  }

  #pause(node: SchedulerNode | ExecutorNode, lastsMs: number): void {
    const { process } = node;
    if (process === null || process.isPaused) return;
    this.#note(process.name, `stands still for ${Math.round(lastsMs)} ms`);
    process.pause();
    this.#healings.later(lastsMs, () => {
      if (process.isPaused) this.#note(process.name, "goes on");
      process.resume();
    });
  }

  #spawner(kind: "kill a spawner" | "pause a spawner", node: ExecutorNode, lastsMs: number): void {
    const { name, system } = node;
    node.hadSpawnerFaults = true;
    if (kind === "kill a spawner") {
      this.#note(name, "its spawner is killed");
      return this.#random.chance(0.3) ? system.killSpawnerInFork() : system.killSpawner();
    }
    const { spawner } = system;
    this.#note(name, `its spawner stands still for ${Math.round(lastsMs)} ms`);
    spawner?.pause();
    this.#healings.later(lastsMs, () => spawner?.resume());
  }

  #cut(bothWays: boolean, lastsMs: number): void {
    const { network } = this.#world.around;
    const { schedulers, executors } = this.#world;
    const near = this.#node().name;
    const others = [
      STORE,
      KAFKA,
      ETCD,
      "client",
      ...schedulers.map(({ name }) => name),
      ...executors.map(({ name }) => name),
    ];
    const far = this.#random.pick(others.filter((name) => name !== near)) ?? STORE;
    const [from, to] = this.#random.chance(0.5) ? [near, far] : [far, near];
    this.#note(from, `reaches ${to} no more${bothWays ? ", nor is reached by it" : ""}`);
    network.block(from, to);
    if (bothWays) network.block(to, from);
    this.#healings.later(lastsMs, () => {
      network.open(from, to);
      if (bothWays) network.open(to, from);
      this.#note(from, `reaches ${to} again`);
    });
  }

  #split(lastsMs: number): void {
    const { schedulers, executors, around } = this.#world;
    const nodes = [...schedulers, ...executors].map(({ name }) => name);
    const cuts = drawSplit(this.#random, nodes);
    this.#note(
      "mesh",
      `is split for ${Math.round(lastsMs)} ms: ${cuts.map(([one, other]) => `${one}-${other}`).join(" ")}`,
    );
    for (const [one, other] of cuts) {
      around.network.block(one, other);
      around.network.block(other, one);
    }
    this.#healings.later(lastsMs, () => {
      for (const [one, other] of cuts) {
        around.network.open(one, other);
        around.network.open(other, one);
      }
      this.#note("mesh", "is whole again");
    });
  }

  #step(node: SchedulerNode | ExecutorNode, lastsMs: number): void {
    const { time } = node.machine;
    const stepMs = this.#random.between(-30_000, 30_000);
    const before = time.offsetMs;
    time.offsetMs += stepMs;
    this.#note(node.name, `its clock steps by ${Math.round(stepMs)} ms`);
    this.#healings.later(lastsMs, () => {
      time.offsetMs = before;
    });
  }

  /** Two processes under one executor_id, as when a volume was copied. */
  #twin(lastsMs: number): void {
    const twin = this.#world.twinOf(this.#executor());
    twin.start();
    this.#healings.later(lastsMs, () => twin.leave());
  }

  #note(who: string, what: string): void {
    this.#world.around.history.note(who, what);
  }

  #scheduler(): SchedulerNode {
    return this.#random.pick(this.#world.schedulers) as SchedulerNode;
  }

  #executor(): ExecutorNode {
    return this.#random.pick(this.#world.executors) as ExecutorNode;
  }

  #node(): SchedulerNode | ExecutorNode {
    return this.#random.chance(0.4) ? this.#scheduler() : this.#executor();
  }
}

/** Draws one, each as often as its weight says. */
function drawWeighted(random: SeededRandom, kinds: readonly (readonly [FaultKind, number])[]): FaultKind {
  let left = random.unit() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [kind, weight] of kinds) {
    left -= weight;
    if (left < 0) return kind;
  }
  return kinds[0]?.[0] ?? "reset streams";
}
