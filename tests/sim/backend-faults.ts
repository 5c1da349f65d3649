/** What goes wrong with the store, Kafka and etcd of a simulated mesh. */
import { ETCD } from "./etcd.ts";
import type { FaultKind } from "./fault-profile.ts";
import type { Healings } from "./healings.ts";
import { KAFKA } from "./kafka.ts";
import type { Surroundings } from "./node-parts.ts";
import type { SeededRandom } from "./random.ts";

/** BackendFaults makes them. */
export class BackendFaults {
  readonly #around: Surroundings;
  readonly #random: SeededRandom;
  readonly #healings: Healings;

  constructor(around: Surroundings, random: SeededRandom, healings: Healings) {
    this.#around = around;
    this.#random = random;
    this.#healings = healings;
  }

  /** Makes one. */
  make(kind: FaultKind, lastsMs: number): void {
    const { store, kafka, etcd, history } = this.#around;
    const random = this.#random;
    switch (kind) {
      case "store away":
        return this.#healings.set("the store is away", store, { isAway: true }, lastsMs);
      case "store hangs":
        return this.#healings.set("the store hangs", store, { isHanging: true }, lastsMs);
      case "store slow":
        return this.#healings.set("the store is slow", store.faults, { slowMs: random.skewed(5, 1_200) }, lastsMs);
      case "store fails":
        return this.#healings.set("the store fails", store.faults, this.#storeFaults(), lastsMs);
      case "kafka away":
        return this.#healings.set("Kafka is away", kafka, { isAway: true }, lastsMs);
      case "kafka deceives":
        return this.#healings.set("Kafka deceives", kafka.faults, this.#kafkaFaults(), lastsMs);
      case "kafka forgets": {
        if (random.chance(0.3)) {
          kafka.remake();
          return history.note(KAFKA, "result topic is made anew");
        }
        const partition = random.below(kafka.resultPartitions);
        return history.note(
          KAFKA,
          `partition ${partition} loses ${kafka.truncate(partition, 1 + random.below(20))} records`,
        );
      }
      case "etcd away":
        return this.#healings.set("etcd is away", etcd, { isAway: true }, lastsMs, () => etcd.renewLeases());
      case "etcd late":
        return this.#healings.set("etcd is late", etcd, { lateMs: random.skewed(20, 4_000) }, lastsMs);
      case "etcd forgets":
        return this.#forgetEtcd();
      default:
        throw new Error(`${kind} is no fault of a backend`);
    }
  }

  #storeFaults() {
    const random = this.#random;
    const share = (): number => (random.chance(0.5) ? 0 : random.skewed(0.005, 0.2));
    return { breaks: share(), unknown: share(), deadlocks: share(), kills: random.chance(0.7) ? 0 : 0.005 };
  }

  #kafkaFaults() {
    const random = this.#random;
    const share = (): number => (random.chance(0.4) ? 0 : random.skewed(0.02, 0.6));
    return {
      lateMs: random.chance(0.4) ? 0 : random.skewed(10, 3_000),
      twiceShare: share(),
      deniedShare: share(),
      lostShare: share() / 2,
      rereadShare: share(),
    };
  }

  #forgetEtcd(): void {
    const { etcd, history } = this.#around;
    const random = this.#random;
    switch (random.below(4)) {
      case 0:
        etcd.empty();
        return history.note(ETCD, "loses everything");
      case 1:
        etcd.save();
        return history.note(ETCD, "is saved");
      case 2:
        etcd.restore();
        return history.note(ETCD, "is restored");
      default:
        return history.note(ETCD, `loses ${etcd.lose((keys) => random.pick(keys))}`);
    }
  }
}
