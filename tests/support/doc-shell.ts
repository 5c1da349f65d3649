import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { DocCommand } from "./doc-blocks.ts";
import { CLI_MAIN, type MeshProcess, type MeshProcesses } from "./mesh-process.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** How the pages' commands are run in a test. */
export type DocShellOptions = {
  /** The real grpcurl. */
  readonly grpcurl: string;
  /** What stands in the pages, and what stands for it in the test: addresses, URLs. */
  readonly replaced: Readonly<Record<string, string>>;
  /** Environment of the commands. */
  readonly env: Readonly<Record<string, string>>;
  /** Where `jobmesh run`, `call`, `http` and `status` call while no etcd is exported; a page's own default is 127.0.0.1:7070. */
  readonly scheduler?: string;
  /** Where a `jobmesh scheduler` listens that names no address. */
  readonly listen?: { readonly grpc: string; readonly http: string };
};

/** What of a clone the commands see. */
const CLONED = ["examples", "gen", "node_modules", "package.json", "proto", "scripts", "services", "tests"];
/** Commands that run until they are stopped, and what each prints on standard error once it serves. */
const SERVING: readonly { readonly command: RegExp; readonly ready: RegExp }[] = [
  { command: /^npx jobmesh scheduler\b/, ready: /"the scheduler serves"/ },
  { command: /^npx jobmesh executor\b/, ready: /"a home took the executor"/ },
  { command: /^(?:env (?:[A-Z_]+=\S+ )+)?node (?:examples\/\w+\/)?main\.ts\b/, ready: /"a home took the executor"/ },
];
/** For `npm install`: what the machine needs to reach its registry, and what it has already is enough. */
const REGISTRY = { NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS, npm_config_prefer_offline: "true" };
/** Longest that a command of a page may take. */
const COMMAND_MS = 60_000;

/**
 * A terminal in a folder like a clone: the commands of one page, one after the
 * other, with the variables and the working directory that they set. `npx
 * jobmesh` is the command's source, `npx buf` and `node` are what is installed.
 */
export class DocShell {
  readonly #processes: MeshProcesses;
  readonly #options: DocShellOptions;
  readonly #state: string;
  readonly #bin: string;

  constructor(processes: MeshProcesses, options: DocShellOptions) {
    this.#processes = processes;
    this.#options = options;
    const folder = join(processes.folder(), "jobmesh");
    mkdirSync(folder);
    for (const name of CLONED) symlinkSync(join(ROOT, name), join(folder, name));
    this.#bin = processes.folder();
    this.#state = join(this.#bin, "state");
    writeFileSync(this.#state, `cd "${folder}"`);
    this.#write("npx", npxScript(options));
    this.#write("grpcurl", `exec "${options.grpcurl}" "$@"`);
  }

  /** Runs a command to its end, or starts it and waits until it serves; asserts that it does what the page says. */
  async run(command: DocCommand): Promise<MeshProcess> {
    const place = `${command.page}:${command.line}: ${command.text}`;
    const exits = /\bexits (\d+)/.exec(command.comment)?.[1];
    const serving = exits === undefined ? SERVING.find((one) => one.command.test(command.text)) : undefined;
    const started = this.#start(command.text, serving !== undefined);
    if (serving !== undefined) {
      await started.printed(serving.ready, { stream: "stderr", waitMs: COMMAND_MS });
      return started;
    }
    const late = AbortSignal.timeout(COMMAND_MS);
    const onLate = (): void => killAll(started);
    late.addEventListener("abort", onLate);
    const { code } = await started.ended;
    late.removeEventListener("abort", onLate);
    const printed = `${started.stdout}${started.stderr}`;
    const wanted = Number(exits ?? 0);
    assert.equal(code, wanted, `${place}\nended with ${code}, not ${wanted}:\n${printed}`);
    if (command.shown !== null) assertShown(place, command.shown, printed);
    return started;
  }

  #start(text: string, isServing: boolean): MeshProcess {
    let line = text;
    for (const [from, to] of Object.entries(this.#options.replaced)) line = line.replaceAll(from, to);
    // A process that serves takes the shell's place, so that a signal reaches it.
    const script = isServing
      ? `set -a; . "${this.#state}"; exec ${line}`
      : `set -a -o pipefail; . "${this.#state}"\n${line}\ncode=$?; { export -p; echo "cd '$PWD'"; } > "${this.#state}"; exit $code`;
    const { env } = this.#options;
    const path = `${this.#bin}:${join(ROOT, "node_modules/.bin")}:${process.env.PATH ?? ""}`;
    return this.#processes.start(["-c", script], {
      // A session of its own, so that what a command has started can be ended with it.
      program: ["setsid", "bash"],
      env: { ...env, ...REGISTRY, PATH: path },
    });
  }

  #write(name: string, script: string): void {
    writeFileSync(join(this.#bin, name), `#!/usr/bin/env bash\n${script}\n`, { mode: 0o755 });
  }
}

function killAll({ pid }: MeshProcess): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** `npx NAME`: jobmesh is its source, anything else is what is installed; nothing is fetched. */
function npxScript({ scheduler, listen }: DocShellOptions): string {
  const called = scheduler === undefined ? "" : `--scheduler ${scheduler}`;
  const served = listen === undefined ? "" : `--listen ${listen.grpc} --http-listen ${listen.http}`;
  return `
name=$1; shift
if [ "$name" != jobmesh ]; then
  PATH=$PWD/node_modules/.bin:$PATH
  exec "$name" "$@"
fi
subcommand=$1; shift
case "$subcommand $*" in
  run*|call*|http*|logs*|handlers*|status*) [ -n "$JOBMESH_ETCD_ENDPOINTS" ] || set -- ${called} "$@" ;;
  scheduler*--listen*) ;;
  scheduler*) set -- ${served} "$@" ;;
esac
exec "${process.execPath}" "${CLI_MAIN}" "$subcommand" "$@"`;
}

/** Each line that the page shows is printed, in this order; "…" stands for anything in a line, alone for any lines. */
function assertShown(place: string, shown: string, printed: string): void {
  const lines = printed.split("\n").map((line) => line.trim());
  let from = 0;
  for (const wanted of shown.split("\n").map((line) => line.trim())) {
    if (wanted === "" || wanted === "…") continue;
    const pattern = new RegExp(`^${wanted.split("…").map(escaped).join(".*")}$`);
    const at = lines.findIndex((line, index) => index >= from && pattern.test(line));
    assert.ok(at >= 0, `${place}\ndid not show ${JSON.stringify(wanted)} where the page has it:\n${printed}`);
    from = at + 1;
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
