import type { OutputStream } from "../command-spec.ts";
import type { ProcessTable } from "./process-table.ts";

/** What is forked. */
export interface CommandFork {
  /** Program. */
  readonly file: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Working directory. */
  readonly folder: string;
  /** Bytes for standard input, which is closed after them; closed from the start when undefined. */
  readonly stdin: Buffer | undefined;
}

/** Who hears of a forked command; never before fork has returned. */
export interface CommandEar {
  /** No process came to be; or something failed about one that lives, which is no end. */
  onError(error: unknown): void;
  /** A piece of output. */
  onData(stream: OutputStream, data: Buffer): void;
  /** The leader has ended. */
  onExit(code: number | null, signal: NodeJS.Signals | null): void;
  /** It has ended and both outputs are closed. */
  onClose(): void;
}

/** ForkedCommand is a command's process. */
export interface ForkedCommand {
  /** Process id, which also names its group; undefined when no process came to be. */
  readonly pid: number | undefined;
  /** Reads its outputs no more. */
  closeOutputs(): void;
}

/** CommandHost is the machine as a spawner process sees it. */
export interface CommandHost extends Pick<ProcessTable, "killGroup" | "groupLives"> {
  /** Starts a command in a session and process group of its own. Throws, or says onError, when that fails. */
  fork(fork: CommandFork, ear: CommandEar): ForkedCommand;
  /** Makes a fresh working directory and says where. */
  makeFolder(name: string): string;
  /** Removes one with its content. Rejects when it could not be. */
  removeFolder(folder: string): Promise<void>;
  /** Whether there is a folder of that path. */
  isFolder(path: string): boolean;
}
