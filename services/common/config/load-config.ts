import { type FieldViolation, JobmeshError } from "../error/jobmesh-error.ts";
import { readCommandLine } from "./command-line.ts";
import { PROCESSES, type ProcessConfig, type ProcessName, type Settings } from "./process-settings.ts";
import { checkRelations } from "./relations.ts";
import { flagOf, type Setting, violation } from "./setting.ts";
import { nearest } from "./suggestion.ts";

/** Where settings come from. */
export interface ConfigSources {
  /** The environment; an empty variable is unset. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Arguments after the name of the process. A flag goes before a variable. */
  readonly argv: readonly string[];
}

/** What was loaded. */
export interface LoadedConfig<C> {
  /** The settings, frozen. */
  readonly config: C;
  /** True when --help or -h is there: then print renderHelp and run nothing. */
  readonly help: boolean;
  /** Arguments that are no flags, and all after "--": a command, an id. */
  readonly rest: readonly string[];
  /** Variables that belong to other processes and change nothing here: worth a line in the log. */
  readonly unused: readonly string[];
}

/** Read by jobmesh's own tests, never by its processes. */
const TEST_PREFIX = "JOBMESH_TEST_";
/** Secrets of an executor's environment, which are no settings: nothing shows or reads them but an attempt that names one. */
export const SECRET_PREFIX = "JOBMESH_SECRET_";

/** What a command that jobmesh runs is told of itself: there other JOBMESH_ names are its parameters, no mistakes. */
const COMMAND_MARKS = ["JOBMESH_EXECUTION_ID", "JOBMESH_SPAWN"];

/** Longest value shown in a fault. */
const MAX_SHOWN_LENGTH = 60;

/**
 * Reads the settings of a process. Throws CONFIG_INVALID that names every
 * fault: values, relations between them, names that nothing has.
 */
export function loadConfig<P extends ProcessName>(process: P, sources: ConfigSources): LoadedConfig<ProcessConfig<P>> {
  const settings: Settings = PROCESSES[process];
  const line = readCommandLine(settings, sources.argv);
  const faults: FieldViolation[] = [...line.faults, ...unknownNames(sources.env)];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const given = line.values.get(setting.env) ?? sources.env[setting.env] ?? "";
    const value = readValue(setting, given, faults);
    if (value !== undefined) values[name] = value;
  }
  faults.push(...checkRelations(values));
  if (faults.length > 0 && !line.help) throw new JobmeshError("CONFIG_INVALID", { fieldViolations: faults });
  return {
    config: Object.freeze(values) as ProcessConfig<P>,
    help: line.help,
    rest: line.rest,
    unused: unusedNames(settings, sources.env),
  };
}

/** Undefined after a fault. */
function readValue(setting: Setting<unknown>, given: string, faults: FieldViolation[]): unknown {
  const text = given === "" ? setting.default : given;
  if (text === null) return null;
  const reading = setting.read(text);
  if ("value" in reading) return reading.value;
  const shown = text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text;
  const was = setting.secret ? "" : `; was ${JSON.stringify(shown)}`;
  faults.push(violation(setting.env, `${reading.fault}${was}`));
  return undefined;
}

/** Variables of all processes. */
const KNOWN_ENVS: ReadonlySet<string> = new Set(
  Object.values<Settings>(PROCESSES).flatMap((settings) => Object.values(settings).map(({ env }) => env)),
);

function unknownNames(env: ConfigSources["env"]): FieldViolation[] {
  if (COMMAND_MARKS.some((mark) => env[mark] !== undefined)) return [];
  const faults: FieldViolation[] = [];
  for (const name of Object.keys(env)) {
    if (!name.startsWith("JOBMESH_") || KNOWN_ENVS.has(name)) continue;
    if (name.startsWith(TEST_PREFIX) || name.startsWith(SECRET_PREFIX)) continue;
    const near = nearest(name, KNOWN_ENVS);
    faults.push({ field: name, description: `is not a setting${near === null ? "" : `; did you mean ${near}?`}` });
  }
  return faults;
}

function unusedNames(settings: Settings, env: ConfigSources["env"]): string[] {
  const used = new Set(Object.values(settings).map((setting) => setting.env));
  return Object.keys(env).filter(
    (name) => flagOf(name) !== null && KNOWN_ENVS.has(name) && !used.has(name) && env[name] !== "",
  );
}
