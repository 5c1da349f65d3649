import { PROCESSES, type ProcessName, type Settings } from "./process-settings.ts";
import { flagOf, type Setting } from "./setting.ts";

const HEADINGS: Readonly<Record<ProcessName, string>> = {
  dev: "jobmesh dev",
  scheduler: "jobmesh scheduler",
  executor: "jobmesh executor",
  migrate: "jobmesh migrate",
  client: "Clients: jobmesh run, call, http, logs, handlers, status",
};

/** The --help text of a process: usage, then every option with its default. */
export function renderHelp(process: ProcessName, usage: string): string {
  const settings: Settings = PROCESSES[process];
  const lines = [`Usage: ${usage}`, "", "Options, each also by its environment variable:"];
  for (const setting of Object.values(settings)) {
    const flag = flagOf(setting.env);
    if (flag !== null) lines.push("", ...helpOf(flag, setting));
  }
  lines.push("", "  --help, -h", "      Prints this.", "", "OpenTelemetry's OTEL_* variables set up tracing.");
  return `${lines.join("\n")}\n`;
}

/** Renders docs/config.md from the declared settings. */
export function renderConfigTable(): string {
  const lines = [
    "# Settings",
    "",
    "<!-- Generated from services/common/config; a test compares. -->",
    "",
    "Each setting is an environment variable and a flag; the flag goes first. An empty variable is unset. A process",
    "checks all its settings before it opens a socket and names every fault at once; a `JOBMESH_` name that nothing",
    "has is a fault too. Durations are written as `250ms`, `1s` or `1m30s`, sizes as `4MiB`.",
  ];
  for (const [process, settings] of Object.entries<Settings>(PROCESSES)) {
    lines.push(
      "",
      `## ${HEADINGS[process as ProcessName]}`,
      "",
      "| variable | flag | takes | default | meaning |",
      "|---|---|---|---|---|",
    );
    for (const setting of Object.values(settings)) lines.push(rowOf(setting));
  }
  return `${lines.join("\n")}\n`;
}

function helpOf(flag: string, setting: Setting<unknown>): string[] {
  const value = setting.isSwitch ? "" : ` <${setting.takes}>`;
  const defaults = setting.default === null || setting.default === "" ? "" : ` Default: ${setting.default}.`;
  return [`  ${flag}${value}`, `      ${setting.meaning}${defaults} [${setting.env}]`];
}

function rowOf(setting: Setting<unknown>): string {
  const flag = flagOf(setting.env);
  const cells = [
    `\`${setting.env}\``,
    flag === null ? "" : `\`${flag}\``,
    setting.takes.replaceAll("|", "\\|"),
    setting.default === null || setting.default === "" ? "unset" : `\`${setting.default}\``,
    setting.meaning,
  ];
  return `| ${cells.join(" | ")} |`;
}
