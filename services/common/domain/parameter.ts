/** Values of `{{parameters.NAME}}`, by name; null stands for none, so that what has none carries nothing. */
export type Parameters = Readonly<Record<string, string>> | null;

/** Most parameters of a job or an execution, as the contract says. */
export const MAX_PARAMETERS = 64;
/** Longest value of one, in characters. */
export const MAX_PARAMETER_CHARACTERS = 4_096;
/** All of them as JSON, in bytes: with them an event of the largest target stays far below what topics take (rule 28). */
export const MAX_PARAMETERS_BYTES = 32 * 1024;
/** Names of them: each is a part of a template, and of a variable's name. */
export const PARAMETER_NAME_PATTERN = /^[A-Za-z0-9._-]{1,63}$/;

const NONE: Readonly<Record<string, string>> = Object.freeze({});

/** They as a map. */
export function parameterMap(parameters: Parameters | undefined): Readonly<Record<string, string>> {
  return parameters ?? NONE;
}

/** The given ones over the usual ones, in the order of their names; null when there are none. */
export function mergedParameters(usual: Parameters | undefined, given: Readonly<Record<string, string>>): Parameters {
  const names = new Set([...Object.keys(usual ?? NONE), ...Object.keys(given)]);
  if (names.size === 0) return null;
  const merged = [...names].sort().map((name) => [name, (Object.hasOwn(given, name) ? given : usual)?.[name] ?? ""]);
  return Object.fromEntries(merged);
}

/** About how many bytes they take; 0 when there are none. */
export function parametersSize(parameters: Parameters | undefined): number {
  if (parameters == null) return 0;
  let size = 0;
  for (const [name, value] of Object.entries(parameters)) size += name.length + value.length + 6;
  return size;
}

/** About how many bytes the largest parts of an execution's row take. */
export function storedSize(execution: {
  readonly target: { readonly bytes: Uint8Array };
  readonly parameters?: Parameters;
}): number {
  return execution.target.bytes.length + parametersSize(execution.parameters);
}
