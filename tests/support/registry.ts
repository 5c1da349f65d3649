/**
 * Registries for the contract suite: memory always, etcd when JOBMESH_TEST_ETCD names its endpoints; and a log of what
 * a watch was told, to wait for.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { openEtcdRegistry } from "../../services/common/adapter/etcd/open-registry.ts";
import { MemoryRegistry } from "../../services/common/adapter/memory/registry.ts";
import type { Member, Registry } from "../../services/common/port/registry.ts";
import { silentLogger } from "../../services/common/runtime/log.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";

const clock = new SystemClock();
const random = new SystemRandom();
const endpoints = (process.env.JOBMESH_TEST_ETCD ?? "").split(",").filter((endpoint) => endpoint !== "");

/** One mesh's registry, as several processes have it. */
export type RegistryMesh = {
  /** The registry of another process; in memory they all share one. Stopped when the test ends. */
  open(): Promise<Registry>;
};

/** Registers a test for each adapter that can be had here. */
export function onEveryRegistry(name: string, body: (mesh: RegistryMesh) => Promise<void>): void {
  const memory = new MemoryRegistry(clock);
  test(`memory: ${name}`, () => withMesh(() => memory, body));
  if (endpoints.length === 0) return;
  test(`etcd: ${name}`, async () => {
    const cluster = `test-${randomBytes(6).toString("hex")}`;
    await withMesh(() => openEtcdRegistry({ clock, random, log: silentLogger }, { endpoints, cluster }), body);
  });
}

async function withMesh(make: () => Registry, body: (mesh: RegistryMesh) => Promise<void>): Promise<void> {
  const opened: Registry[] = [];
  const open = async (): Promise<Registry> => {
    const registry = make();
    opened.push(registry);
    await registry.start();
    return registry;
  };
  try {
    await body({ open });
  } finally {
    await Promise.all(opened.map((registry) => registry.stop()));
  }
}

/** A member with an address of its own. */
export function memberOf(name: string, instance: string, metadata: Record<string, string> = {}): Member {
  return { name, instance, address: `${instance}.test:7070`, metadata };
}

/** MemberLog is all that one watch was told. */
export class MemberLog {
  /** Every list, the newest last. */
  readonly lists: (readonly Member[])[] = [];
  /** Moments of the lists, by the monotonic clock in milliseconds. */
  readonly toldMs: number[] = [];
  /** Ends the watch. */
  readonly end: () => void;
  readonly #waiting = new Set<{ isMet: (members: readonly Member[]) => boolean; resolve: () => void }>();

  constructor(registry: Registry, name: string) {
    this.end = registry.watch(name, (members) => {
      this.lists.push(members);
      this.toldMs.push(clock.monotonicMs());
      for (const waiting of [...this.#waiting]) {
        if (!waiting.isMet(members)) continue;
        this.#waiting.delete(waiting);
        waiting.resolve();
      }
    });
  }

  /** Instances in the newest list. */
  get instances(): readonly string[] {
    return (this.lists.at(-1) ?? []).map(({ instance }) => instance);
  }

  /** Resolves when the newest list is as asked, which it may be already. */
  async until(isMet: (members: readonly Member[]) => boolean): Promise<void> {
    const newest = this.lists.at(-1);
    if (newest !== undefined && isMet(newest)) return;
    await new Promise<void>((resolve) => this.#waiting.add({ isMet, resolve }));
  }

  /** Resolves when exactly these instances are there. */
  async untilThere(...instances: readonly string[]): Promise<void> {
    const wanted = instances.join();
    await this.until((members) => members.map(({ instance }) => instance).join() === wanted);
  }

  /** No list was told twice in a row, and each is sorted. */
  assertLists(): void {
    for (const [at, list] of this.lists.entries()) {
      const names = list.map(({ instance }) => instance);
      assert.deepEqual(names, names.toSorted());
      if (at > 0) assert.notDeepEqual(list, this.lists[at - 1], "the same list was told twice");
    }
  }
}
