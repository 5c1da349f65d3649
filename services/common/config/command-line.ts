import type { FieldViolation } from "../error/jobmesh-error.ts";
import type { Settings } from "./process-settings.ts";
import { flagOf, type Setting } from "./setting.ts";
import { nearest } from "./suggestion.ts";

/** What a command line says. */
export interface CommandLine {
  /** Values by the environment variable that they stand for. */
  readonly values: ReadonlyMap<string, string>;
  readonly help: boolean;
  /** Arguments that are no flags, and all after "--". */
  readonly rest: readonly string[];
  readonly faults: readonly FieldViolation[];
}

/** Reads "--name value", "--name=value" and, for a switch, "--name"; "--" ends the flags. */
export function readCommandLine(settings: Settings, argv: readonly string[]): CommandLine {
  const byFlag = new Map<string, Setting<unknown>>();
  for (const setting of Object.values(settings)) {
    const flag = flagOf(setting.env);
    if (flag !== null) byFlag.set(flag, setting);
  }
  const values = new Map<string, string>();
  const rest: string[] = [];
  const faults: FieldViolation[] = [];
  let help = false;
  for (let place = 0; place < argv.length; place++) {
    const argument = argv[place] ?? "";
    if (argument === "--") {
      rest.push(...argv.slice(place + 1));
      break;
    }
    if (argument === "--help" || argument === "-h") {
      help = true;
      continue;
    }
    if (!argument.startsWith("-") || argument === "-") {
      rest.push(argument);
      continue;
    }
    const [, flag = argument, inline] = /^([^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
    const setting = byFlag.get(flag);
    if (setting === undefined) {
      faults.push(unknownFlag(flag, byFlag));
      continue;
    }
    const value = inline ?? (setting.isSwitch ? "true" : argv[++place]);
    if (value === undefined || value === "")
      faults.push({ field: flag, description: `needs a value: ${setting.takes}` });
    else if (values.has(setting.env)) faults.push({ field: flag, description: "was given twice" });
    else values.set(setting.env, value);
  }
  return { values, help, rest, faults };
}

function unknownFlag(flag: string, byFlag: ReadonlyMap<string, unknown>): FieldViolation {
  const near = nearest(flag, [...byFlag.keys(), "--help"]);
  return { field: flag, description: `is not an option${near === null ? "" : `; did you mean ${near}?`}` };
}
