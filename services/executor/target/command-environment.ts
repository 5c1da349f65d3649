import { isoTimeOf } from "../../common/domain/iso-time.ts";

/** Variables of the executor's own environment that commands get, when nothing else is set; `*` stands for any end. */
export const DEFAULT_ALLOWED_ENVIRONMENT: readonly string[] = [
  "PATH",
  "HOME",
  "LANG",
  "LC_*",
  "TZ",
  "TMPDIR",
  "USER",
  "SHELL",
  "LOGNAME",
];

/** CommandAttempt is what a command is told of itself; a DispatchOrder is one. */
export interface CommandAttempt {
  /** Which attempt. */
  readonly key: { readonly executionId: string; readonly attempt: number };
  /** Attempts in all that its policy allows. */
  readonly maxAttempts: number;
  /** Namespace of its job. */
  readonly namespace: string;
  /** Its job; empty when there is none. */
  readonly jobId: string;
  /** Nominal time of the execution, in µs. */
  readonly scheduledUs: number;
  /** Labels of the execution. */
  readonly labels: Readonly<Record<string, string>>;
  /** Values of the execution's parameters; none when undefined. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Place among a broadcast's executions, from 0. */
  readonly shardIndex?: number;
  /** Number of a broadcast's executions; 0 when it is none. */
  readonly shardCount?: number;
  /** W3C trace context of the attempt; empty when there is none. */
  readonly traceparent: string;
}

/** The variables of `environment` that the list allows. */
export function allowedEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  allowed: readonly string[],
): Record<string, string> {
  const exact = new Set(allowed.filter((name) => !name.endsWith("*")));
  const prefixes = allowed.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue;
    if (exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix))) kept[name] = value;
  }
  return kept;
}

/**
 * The whole environment of a command: the executor's allowed variables, over
 * them the target's, over those what it is told of itself. Nothing else of the
 * executor's environment, where credentials live, reaches a command.
 */
export function commandEnvironment(
  own: Readonly<Record<string, string>>,
  target: Readonly<Record<string, string>>,
  attempt: CommandAttempt,
): Record<string, string> {
  const environment: Record<string, string> = {
    ...own,
    ...target,
    ...named("JOBMESH_PARAMETER_", attempt.parameters ?? {}),
    ...named("JOBMESH_LABEL_", attempt.labels),
    JOBMESH_EXECUTION_ID: attempt.key.executionId,
    JOBMESH_ATTEMPT: String(attempt.key.attempt),
    JOBMESH_MAX_ATTEMPTS: String(attempt.maxAttempts),
    JOBMESH_JOB_ID: attempt.jobId,
    JOBMESH_NAMESPACE: attempt.namespace,
    JOBMESH_SCHEDULED_TIME: isoTimeOf(attempt.scheduledUs),
    // Equal over all attempts.
    JOBMESH_IDEMPOTENCY_KEY: attempt.key.executionId,
    JOBMESH_SHARD_INDEX: String(attempt.shardIndex ?? 0),
    JOBMESH_SHARD_COUNT: String(attempt.shardCount ?? 0),
  };
  if (attempt.traceparent !== "") environment.TRACEPARENT = attempt.traceparent;
  return environment;
}

/** Values under names that any shell can read. Of names that become equal, the last in byte order stands. */
function named(prefix: string, values: Readonly<Record<string, string>>): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const name of Object.keys(values).sort()) {
    variables[prefix + name.replaceAll(/[^A-Za-z0-9]/g, "_").toUpperCase()] = values[name] ?? "";
  }
  return variables;
}
