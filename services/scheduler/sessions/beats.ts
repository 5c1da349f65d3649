import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import type { Roster } from "./roster.ts";
import type { Session } from "./session.ts";
import type { SessionConfig } from "./session-config.ts";
import type { SessionService } from "./session-service.ts";
import type { StoredOffsetsView } from "./stored-offsets.ts";

/** What beats need. */
export type BeatsDeps = {
  readonly store: Pick<Store, "executors">;
  readonly sessions: SessionService;
  readonly roster: Roster;
  readonly offsets: StoredOffsetsView;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Beats are written this often in a lease. */
const BEATS_A_LEASE = 4;
/** Silence is looked at this often in a heartbeat. */
const LOOKS_A_HEARTBEAT = 2;

/**
 * Rule 14: who lives is in the store. Each quarter lease the beats of all
 * sessions that were heard of are written in one statement; only then does an
 * executor hear that its beat counts (HeartbeatAck.heard_sequence). A session
 * that is not the store's any more ends. Beside it, an executor that is silent
 * for the suspect time gets no more work.
 */
export class Beats {
  readonly #deps: BeatsDeps;
  readonly #config: SessionConfig;
  readonly #writer: WakeableLoop;
  readonly #watcher: WakeableLoop;

  constructor(deps: BeatsDeps, config: SessionConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#writer = new WakeableLoop(deps.clock, deps.log, {
      name: "beats",
      intervalMs: config.leaseTtlMs / BEATS_A_LEASE,
      run: async () => {
        await this.runOnce();
        return false;
      },
    });
    this.#watcher = new WakeableLoop(deps.clock, deps.log, {
      name: "suspects",
      intervalMs: config.heartbeatIntervalMs / LOOKS_A_HEARTBEAT,
      run: async () => {
        this.suspectSilent();
        return false;
      },
    });
  }

  start(): void {
    this.#writer.start();
    this.#watcher.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#writer.stop(), this.#watcher.stop()]);
  }

  /** Writes what was heard since the last time; answers how many beats the store took. */
  async runOnce(): Promise<number> {
    const { store, sessions, offsets } = this.#deps;
    const heard: { readonly session: Session; readonly sequence: number }[] = [];
    const beats = [];
    for (const session of sessions.sessions()) {
      const taken = session.takeBeat();
      if (taken === null) continue;
      heard.push({ session, sequence: taken.sequence });
      beats.push(taken.beat);
    }
    try {
      await offsets.refresh();
      if (beats.length === 0) return 0;
      const kept = new Map((await store.executors.beat(this.#config.schedulerId, beats)).map((b) => [b.executorId, b]));
      for (const { session, sequence } of heard) {
        const beat = kept.get(session.profile.executorId);
        if (beat?.incarnation === session.profile.incarnation) session.beatStored(sequence);
        else session.end(new JobmeshError("SESSION_SUPERSEDED"));
      }
      return kept.size;
    } catch (thrown) {
      for (const { session } of heard) session.beatFailed();
      throw thrown;
    }
  }

  /** Marks executors that are silent for the suspect time; the next message of one clears it. */
  suspectSilent(): void {
    const { sessions, roster, log } = this.#deps;
    for (const session of sessions.sessions()) {
      if (session.executor.suspect || session.silentMs < this.#config.suspectMs) continue;
      roster.setSuspect(session.executor, true);
      log.warn({ executorId: session.profile.executorId, silentMs: session.silentMs }, "an executor is silent");
    }
  }
}
