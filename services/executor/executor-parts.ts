import { availableParallelism } from "node:os";
import type { DispatchOrder } from "../common/domain/dispatch.ts";
import type { ExecutorProfile } from "../common/domain/executor.ts";
import type { SessionUp, WelcomeMessage } from "../common/domain/session.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { ExecutorBus } from "../common/port/bus.ts";
import { silentMetrics } from "../common/telemetry/metrics.ts";
import { AttemptOutput } from "./attempt-output.ts";
import { AttemptWatch } from "./attempt-watch.ts";
import { Attempts } from "./attempts.ts";
import type { ExecutorConfig } from "./config.ts";
import { Conversation } from "./conversation.ts";
import { Departure } from "./departure.ts";
import type { ExecutorDeps } from "./executor-deps.ts";
import { ExecutorMetrics } from "./executor-metrics.ts";
import { Homes } from "./homes.ts";
import { Identity } from "./identity.ts";
import { KeptResults } from "./kept-results.ts";
import { KnownKeys } from "./known-keys.ts";
import { Lane } from "./lane.ts";
import { Membership } from "./membership.ts";
import { MeshTime } from "./mesh-time.ts";
import { OutputQueue } from "./output-queue.ts";
import { processLoad } from "./process-load.ts";
import { Rebirth } from "./rebirth.ts";
import { Runners } from "./runners.ts";
import { SelfFence } from "./self-fence.ts";
import { Slots } from "./slots.ts";
import { tracedBus } from "./traced-bus.ts";

/** What the parts tell the executor that they make. */
export interface PartsEvents {
  onWelcome(welcome: WelcomeMessage): void;
  onDrain(graceMs: number | null): void;
}

/** The parts of one executor, joined. Each knows only what it is handed; this file is where they meet. */
export class ExecutorParts {
  readonly metrics: ExecutorMetrics;
  readonly identity: Identity;
  readonly mesh: MeshTime;
  readonly runners: Runners;
  readonly slots: Slots;
  readonly known: KnownKeys;
  readonly output: OutputQueue;
  readonly kept: KeptResults;
  readonly watch: AttemptWatch;
  readonly attempts: Attempts;
  /** null where the executor lives as long as its process (rule 14). */
  readonly fence: SelfFence | null;
  readonly conversation: Conversation;
  readonly rebirth: Rebirth;
  readonly lane: Lane | null;
  readonly membership: Membership | null;
  readonly homes: Homes;
  readonly departure: Departure;
  readonly #deps: ExecutorDeps;
  readonly #config: ExecutorConfig;

  constructor(deps: ExecutorDeps, config: ExecutorConfig, events: PartsEvents) {
    const { clock, log, registry, tracing } = deps;
    const bus = deps.bus === null ? null : tracedBus(deps.bus, tracing);
    this.#deps = { ...deps, bus };
    this.#config = config;
    this.metrics = new ExecutorMetrics(deps.metrics ?? silentMetrics);
    this.identity = new Identity(config.executorId, deps.random, deps.lock?.previous ?? null);
    this.mesh = new MeshTime(clock);
    this.runners = new Runners(deps.runners);
    this.slots = new Slots(config.slots, this.runners.capabilities);
    this.known = new KnownKeys(config);
    this.output = new OutputQueue(config);
    this.kept = this.#newKept();
    const running = (): Attempts["running"] => this.attempts.running;
    this.watch = new AttemptWatch({ clock, log, running, say: this.#say, exitProcess: deps.exitProcess }, config);
    this.attempts = this.#newAttempts();
    this.fence = config.selfFencing ? this.#newFence() : null;
    this.conversation = this.#newConversation(events);
    this.rebirth = this.#newRebirth();
    this.lane = bus === null ? null : this.#newLane(bus);
    this.membership = registry === null ? null : new Membership({ clock, log, registry }, config);
    this.homes = this.#newHomes();
    this.departure = new Departure({ ...this, clock, log }, config);
  }

  readonly #say = (message: SessionUp): void => this.conversation.say(message);

  #newKept(): KeptResults {
    const { clock, bus } = this.#deps;
    const onSent = (capability: number): void => {
      this.slots.release(capability);
      this.conversation.roomGrew();
    };
    const onRelay = (): void => this.conversation.somethingWaits();
    return new KeptResults({ clock, known: this.known, bus, onSent, onRelay }, this.#config);
  }

  #newAttempts(): Attempts {
    const { clock, log, tracing } = this.#deps;
    const { identity, mesh, known, slots, kept, runners, metrics } = this;
    const onWaiting = (): void => this.conversation.somethingWaits();
    const voice = new AttemptOutput(
      { clock, queue: this.output, dropped: metrics.droppedBytes, onWaiting },
      this.#config,
    );
    const isFenced = (): boolean => this.fence?.check() === true;
    const onBegan: (typeof this.watch)["began"] = (attempt) => this.watch.began(attempt);
    const parts = { identity, mesh, known, slots, kept, runners, voice };
    return new Attempts({ ...parts, clock, log, tracing, metrics, say: this.#say, onBegan, isFenced });
  }

  #newFence(): SelfFence {
    const { clock, commands } = this.#deps;
    return new SelfFence(
      {
        clock,
        lease: () => this.membership?.lease ?? null,
        onMoved: (fenceMs) => commands?.setFence(fenceMs),
        onPassed: () => void this.rebirth.run("no beat was stored and no lease kept for the lease less a second"),
      },
      this.#config,
    );
  }

  #newConversation(events: PartsEvents): Conversation {
    const { clock, load } = this.#deps;
    const { identity, mesh, slots, attempts, kept, output, fence } = this;
    return new Conversation(
      {
        ...{ clock, identity, mesh, slots, attempts, kept, output, fence },
        load: load ?? processLoad(clock, availableParallelism()),
        profile: () => this.#profile(),
        descriptorSet: (hash) => this.#deps.descriptorSet(hash),
        onWelcome: (welcome) => events.onWelcome(welcome),
        onDrain: (graceMs) => events.onDrain(graceMs),
      },
      this.#config,
    );
  }

  #newRebirth(): Rebirth {
    const { clock, log, commands, lock, exitProcess } = this.#deps;
    const { identity, slots, attempts, kept, conversation } = this;
    return new Rebirth(
      {
        ...{ clock, log, identity, slots, attempts, kept, conversation, commands, exitProcess },
        stopFence: () => this.fence?.stop(),
        onRenewed: (incarnation) => {
          this.metrics.fenced.add(1);
          try {
            lock?.note(incarnation);
          } catch (err) {
            // The next start then names an incarnation before this one, and waits for this one's lease.
            log.error({ err }, "the new incarnation could not be noted in the data folder");
          }
          this.membership?.renewed(incarnation);
        },
      },
      this.#config,
    );
  }

  #newLane(bus: ExecutorBus): Lane {
    const { clock, log } = this.#deps;
    const onOrder = (order: DispatchOrder): void => {
      // A process that was frozen learns here that others may run its work by now.
      if (this.fence?.check() !== true) this.attempts.take(order, "lane");
    };
    const onLate = (): void => {
      this.conversation.drop(new JobmeshError("PEER_UNAVAILABLE", { message: "Hello again: the lane stands" }));
    };
    return new Lane({ clock, log, bus, onOrder, onLate }, this.#config.lane);
  }

  #newHomes(): Homes {
    const { clock, random, log, connector } = this.#deps;
    let said = this.identity.incarnation;
    return new Homes(
      {
        ...{ clock, random, log, connector },
        live: async (link, signal) => {
          await this.rebirth.done;
          said = this.identity.incarnation;
          return this.conversation.live(link, signal);
        },
        // Whoever fenced itself has ended the stream of the incarnation before: the present one is not lost by that.
        lost: async () => {
          if (said === this.identity.incarnation) await this.rebirth.run("its home said that this incarnation is lost");
        },
      },
      this.#config,
    );
  }

  #profile(): ExecutorProfile {
    const { executorId, version, slots, labels, namespaces } = this.#config;
    return {
      ...{ executorId, version, slots, labels, namespaces },
      incarnation: this.identity.incarnation,
      capabilities: this.runners.capabilities,
      lane: this.lane?.joined ?? null,
      registered: this.#deps.registry !== null,
    };
  }
}
