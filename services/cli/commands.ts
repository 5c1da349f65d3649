/** A command of the CLI; its code is loaded when it runs. */
export type Command = {
  readonly name: string;
  readonly summary: string;
  /** Runs with the arguments after the name; answers the exit code. */
  readonly load: () => Promise<{ run(argv: readonly string[]): Promise<number> }>;
};

/** All commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  {
    name: "dev",
    summary: "runs the embedded mesh: scheduler and executor in one process, on SQLite",
    load: () => import("./command/dev.ts"),
  },
  { name: "scheduler", summary: "runs a scheduler", load: () => import("./command/scheduler.ts") },
  {
    name: "executor",
    summary: "runs an executor of commands, gRPC calls and HTTP requests",
    load: () => import("./command/executor.ts"),
  },
  { name: "migrate", summary: "brings the store's schema up to date", load: () => import("./command/migrate.ts") },
  {
    name: "run",
    summary: "submits a command, shows its output, exits as it does",
    load: () => import("./command/run.ts"),
  },
  {
    name: "call",
    summary: "submits a gRPC call, shows its answer",
    load: () => import("./command/call.ts"),
  },
  {
    name: "http",
    summary: "submits an HTTP request, shows its answer",
    load: () => import("./command/http.ts"),
  },
  {
    name: "logs",
    summary: "shows what an execution wrote, and follows it",
    load: () => import("./command/logs.ts"),
  },
  {
    name: "watch",
    summary: "shows executions as they end, or one until it has",
    load: () => import("./command/watch.ts"),
  },
  {
    name: "handlers",
    summary: "shows the typed handlers and who runs them",
    load: () => import("./command/handlers.ts"),
  },
  {
    name: "drain",
    summary: "asks an executor to take no more work and to leave",
    load: () => import("./command/drain.ts"),
  },
  {
    name: "status",
    summary: "shows the mesh: schedulers, executors, queues, backends",
    load: () => import("./command/status.ts"),
  },
];

/** The help of the CLI as a whole. */
export function renderUsage(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: jobmesh COMMAND [options]\n\n${lines.join("\n")}\n\njobmesh COMMAND --help lists the options of a command.\n`;
}
