/** What the nodes of a simulated mesh share: where they are, and what they are made with. */
import { EtcdRegistry } from "../../services/common/adapter/etcd/registry.ts";
import type { Registry } from "../../services/common/port/registry.ts";
import { type LogFields, type Logger, silentLogger } from "../../services/common/runtime/log.ts";
import type { SimEtcd } from "./etcd.ts";
import type { History } from "./history.ts";
import type { SimKafka } from "./kafka.ts";
import type { Network } from "./network.ts";
import { MachineTime, SimProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";
import type { OutsideRecord, SimTracing } from "./record.ts";
import type { Rpc } from "./rpc.ts";
import type { SimStore } from "./store.ts";
import type { Place } from "./stream.ts";
import type { Timeline } from "./timeline.ts";

/** Everything around the nodes. */
export type Surroundings = {
  readonly timeline: Timeline;
  readonly history: History;
  readonly random: SeededRandom;
  readonly network: Network;
  readonly rpc: Rpc;
  readonly store: SimStore;
  readonly kafka: SimKafka;
  readonly etcd: SimEtcd;
  readonly tracing: SimTracing;
  readonly record: OutsideRecord;
};

/** Longest drift of a machine's clock, as a part of true time: two of them differ by the 500 ppm that NTP slews by. */
const MAX_DRIFT = 0.000_25;

/** A machine: a name on the network, and a clock. */
export class Machine {
  readonly name: string;
  readonly time: MachineTime;
  readonly #timeline: Timeline;
  #processes = 0;

  constructor(name: string, { timeline, random }: Pick<Surroundings, "timeline" | "random">) {
    const own = random.branch(`machine ${name}`);
    this.name = name;
    this.#timeline = timeline;
    this.time = new MachineTime(timeline, 1 + own.between(-MAX_DRIFT, MAX_DRIFT), own.between(-80, 80));
  }

  /** A new process on it. */
  process(): SimProcess {
    this.#processes++;
    return new SimProcess(`${this.name}.${this.#processes}`, this.#timeline, this.time);
  }
}

/** The production registry on the simulated etcd. */
export function registryAt(place: Place, { etcd }: Surroundings, log: Logger): Registry {
  const client = etcd.calls(place);
  return new EtcdRegistry({ clock: place.process, log, client }, { endpoints: ["sim"], cluster: "sim" });
}

/** A log into the history: what an operator should see. */
export function simLogger(history: History, process: SimProcess): Logger {
  const write =
    (name: string) =>
    (fields: LogFields, message: string): void => {
      if (process.isAlive) history.note(process.name, `${name} ${message}${rendered(fields)}`);
    };
  const logger: Logger = { ...silentLogger, warn: write("warn"), error: write("error"), child: () => logger };
  return logger;
}

function rendered(fields: LogFields): string {
  const shown = Object.entries(fields).map(
    ([name, value]) => ` ${name}=${value instanceof Error ? value.message : String(value)}`,
  );
  return shown.join("");
}
