import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { MeshClient, type MeshClientOptions } from "../../services/client/mesh-client.ts";

/** The entry of the `jobmesh` command. */
export const CLI_MAIN = resolve(import.meta.dirname, "../../services/cli/main.ts");

/** Longest wait for a line or an end; a test that needs longer says so. */
const DEFAULT_WAIT_MS = 20_000;

/** How a process is started. */
export type ProcessOptions = {
  /** Added to the environment, in which no JOBMESH_ and OTEL_ setting is left; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Working directory; a fresh folder when unset. */
  readonly cwd?: string;
  /** Program and first arguments; Node with the command's entry when unset. */
  readonly program?: readonly string[];
};

/** How a process ended. */
export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** What a process that has ended left: its streams apart. */
export type Outcome = Ended & { readonly stdout: string; readonly stderr: string; readonly tookMs: number };

/** One real process of jobmesh, with what it has printed so far. */
export class MeshProcess {
  /** Resolves when the process is gone and its streams are read to their end. */
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #text = { stdout: "", stderr: "" };
  readonly #readers = new Set<() => void>();

  constructor(args: readonly string[], options: ProcessOptions & { readonly cwd: string }) {
    const [program = process.execPath, ...first] = options.program ?? [process.execPath, CLI_MAIN];
    this.#child = spawn(program, [...first, ...args], {
      cwd: options.cwd,
      env: cleanEnvironment(options.env ?? {}),
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const name of ["stdout", "stderr"] as const) {
      this.#child[name]?.setEncoding("utf8").on("data", (text: string) => {
        this.#text[name] += text;
        this.#tell();
      });
    }
    this.ended = new Promise((done, failed) => {
      this.#child.once("error", failed);
      this.#child.once("close", (code, signal) => {
        done({ code, signal });
        this.#tell();
      });
    });
    this.ended.catch(() => undefined);
  }

  /** 0 when it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** True until it has ended. */
  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get stdout(): string {
    return this.#text.stdout;
  }

  get stderr(): string {
    return this.#text.stderr;
  }

  /** Waits until a stream matches; rejects when the process ends without, and after the time. */
  async printed(
    pattern: RegExp,
    options: { readonly stream?: "stdout" | "stderr"; readonly waitMs?: number } = {},
  ): Promise<RegExpExecArray> {
    const { stream = "stdout", waitMs = DEFAULT_WAIT_MS } = options;
    const late = AbortSignal.timeout(waitMs);
    const over = this.ended.then(() => true);
    for (;;) {
      const found = pattern.exec(this.#text[stream]);
      if (found !== null) return found;
      if (late.aborted) throw new Error(`${stream} did not show ${pattern} within ${waitMs} ms:\n${this.#shown()}`);
      if (await this.#changed(late, over)) {
        const last = pattern.exec(this.#text[stream]);
        if (last !== null) return last;
        throw new Error(`the process ended before ${stream} showed ${pattern}:\n${this.#shown()}`);
      }
    }
  }

  /** Sends a signal to this process alone. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends a signal again and again, as somebody who presses a key until it works; resolves at the end. */
  async press(signal: NodeJS.Signals, everyMs: number): Promise<Ended> {
    const timer = setInterval(() => this.signal(signal), everyMs);
    try {
      return await this.ended;
    } finally {
      clearInterval(timer);
    }
  }

  /** Waits for the end; rejects after the time. */
  async over(waitMs: number = DEFAULT_WAIT_MS): Promise<Ended> {
    const late = new Promise<never>((_, failed) => {
      const timer = setTimeout(
        () => failed(new Error(`the process did not end within ${waitMs} ms:\n${this.#shown()}`)),
        waitMs,
      );
      void this.ended.finally(() => clearTimeout(timer));
    });
    return await Promise.race([this.ended, late]);
  }

  /** Sends a signal and waits for the end; rejects after the time. */
  async end(signal: NodeJS.Signals, waitMs: number = DEFAULT_WAIT_MS): Promise<Ended> {
    this.signal(signal);
    return await this.over(waitMs);
  }

  #shown(): string {
    return `--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`;
  }

  #tell(): void {
    for (const reader of [...this.#readers]) reader();
  }

  /** Resolves at the next output; true when the process is over. */
  #changed(late: AbortSignal, over: Promise<boolean>): Promise<boolean> {
    return new Promise((done) => {
      const wake = (isOver: boolean): void => {
        this.#readers.delete(reader);
        late.removeEventListener("abort", reader);
        done(isOver);
      };
      const reader = (): void => wake(false);
      this.#readers.add(reader);
      late.addEventListener("abort", reader);
      void over.then(wake);
    });
  }
}

/** An embedded mesh that is ready. */
export type DevMesh = MeshProcess & {
  /** Address of its gRPC services. */
  readonly address: string;
  /** Address of /metrics, /healthz and /readyz. */
  readonly httpAddress: string;
};

/** How an embedded mesh is started. */
export type DevOptions = ProcessOptions & {
  readonly dataDir: string;
  /** Address of the gRPC services; a free port of loopback when unset. */
  readonly listen?: string;
  /** Further arguments. */
  readonly args?: readonly string[];
};

/**
 * The real processes of one test or file, with the folders and clients that belong to
 * them. Whatever still runs when the test ends is killed, by its own pid.
 */
export class MeshProcesses {
  readonly #root = mkdtempSync(join(tmpdir(), "jm-"));
  readonly #processes: MeshProcess[] = [];
  readonly #clients: MeshClient[] = [];
  #folders = 0;

  /** @param scope a test, or node:test's own hooks for the processes of a file */
  constructor(scope: { after(end: () => Promise<void>): void }) {
    scope.after(() => this.#close());
  }

  /** A fresh folder of a short path, removed after the test. */
  folder(): string {
    this.#folders += 1;
    const path = join(this.#root, String(this.#folders));
    mkdirSync(path);
    return path;
  }

  /** Starts `jobmesh ARGS`. */
  start(args: readonly string[], options: ProcessOptions = {}): MeshProcess {
    const started = new MeshProcess(args, { ...options, cwd: options.cwd ?? this.folder() });
    this.#processes.push(started);
    return started;
  }

  /** Runs `jobmesh ARGS` to its end. */
  async run(args: readonly string[], options: ProcessOptions & { readonly waitMs?: number } = {}): Promise<Outcome> {
    const startedMs = performance.now();
    const running = this.start(args, options);
    const waitMs = options.waitMs ?? DEFAULT_WAIT_MS;
    const timer = setTimeout(() => running.signal("SIGKILL"), waitMs);
    const ended = await running.ended;
    clearTimeout(timer);
    return { ...ended, stdout: running.stdout, stderr: running.stderr, tookMs: performance.now() - startedMs };
  }

  /** Starts an embedded mesh and waits until it is ready. */
  async dev(options: DevOptions): Promise<DevMesh> {
    const { dataDir, listen = "127.0.0.1:0", args = [] } = options;
    const fixed = ["dev", "--data-dir", dataDir, "--listen", listen, "--http-listen", "127.0.0.1:0"];
    const started = this.start([...fixed, ...args], options);
    const [, address = ""] = await started.printed(/^ {2}gRPC +(\S+)$/m);
    const [, httpAddress = ""] = await started.printed(/^ {2}metrics +https?:\/\/(\S+)\/metrics$/m);
    return Object.assign(started, { address, httpAddress });
  }

  /** A client, closed after the test. */
  client(target: string, options: Omit<MeshClientOptions, "target"> = {}): MeshClient {
    const client = new MeshClient({ target, ...options });
    this.#clients.push(client);
    return client;
  }

  async #close(): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const one of this.#processes) if (one.isRunning) one.signal("SIGKILL");
    await Promise.allSettled(this.#processes.map(({ ended }) => ended));
    // The spawner of a killed process still clears its folders for a moment.
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

/** Our environment without settings that would change what is tested. */
function cleanEnvironment(added: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(JOBMESH|OTEL|NODE)_/.test(name) || name.startsWith("JOBMESH_TEST_"),
  );
  return { ...Object.fromEntries(kept), ...added };
}
