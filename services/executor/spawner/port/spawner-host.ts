import type { FramePipe } from "./frame-pipe.ts";
import type { ProcessTable } from "./process-table.ts";

/** What a spawner process is told at its start. */
export interface SpawnerStart {
  /** Mark of this spawner, among the groups that it notes and in each command's environment. */
  readonly token: string;
  /** Milliseconds of the executor's silence after which everything is killed; never when null. */
  readonly silenceMs: number | null;
}

/** SpawnerChild is a spawner process as its executor has it. */
export interface SpawnerChild {
  /** Process id; undefined when no process came to be. */
  readonly pid: number | undefined;
  /** The executor's end of the pipe. */
  readonly pipe: FramePipe;
  /** Resolves with how it ended when it is dead and everything that it said was heard. */
  readonly closed: Promise<string>;
  /** Kills it at once. */
  kill(): void;
}

/** SpawnerFolder is what the spawners of one executor leave on its disk. The caller holds its lock (rule 23). */
export interface SpawnerFolder {
  /** Text of the last spawner's GroupLedger; undefined when there is none. */
  readGroups(): string | undefined;
  /** Removes that ledger. */
  removeGroups(): void;
  /** Removes the working directories that commands left; says which one could not be removed. */
  removeWork(onFailure: (folder: string, error: unknown) => void): Promise<void>;
}

/** SpawnerHost is the machine as an executor's Spawner sees it. */
export interface SpawnerHost {
  /** Its processes. */
  readonly processes: ProcessTable;
  /** What earlier spawners left. */
  readonly folder: SpawnerFolder;
  /**
   * Milliseconds of the clock that all processes of this machine share and that
   * never steps. The Clock port's has an origin of its own in each process.
   */
  sharedMonotonicMs(): number;
  /** Starts a spawner process. Rejects when that cannot be tried. */
  open(start: SpawnerStart): Promise<SpawnerChild>;
}
