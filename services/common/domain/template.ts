import { isoTimeOf } from "./iso-time.ts";

/**
 * Templates of a target's texts (contract, Target): `{{NAME}}`, filled in at each
 * attempt by what is known of it, and `${secret:NAME}`, filled in by the executor
 * alone. A text is read once from its start to its end, and what is filled in is
 * never read again: a parameter that looks like a template stays the text it is,
 * and cannot name a secret. Each search goes on where the one before has ended, so
 * that reading costs as much as the text is long, whatever braces it holds.
 */

/** What `{{NAME}}` can say of an attempt. */
export type TemplateValues = {
  readonly executionId: string;
  /** From 1. */
  readonly attempt: number;
  /** Nominal time of the execution, in µs. */
  readonly scheduledUs: number;
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly parameters: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
};

/** A piece of a text: as it stands, or to be filled in. */
export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "value" | "secret";
      readonly name: string;
      /** Where it begins, in characters from 0. */
      readonly at: number;
    };

/** Names without a map behind them. */
const PLAIN_NAMES = ["scheduled_time", "scheduled_date", "execution_id", "attempt", "shard_index", "shard_count"];
const PARAMETER = "parameters.";
const LABEL = "labels.";
const OPEN = "{{";
const CLOSE = "}}";
const SECRET_OPEN = "${secret:";
const SECRET_CLOSE = "}";
/** Longest name of a secret: it is a file's. */
const SECRET_NAME_PATTERN = /^[A-Za-z0-9_.-]{1,128}$/;

/** True for bytes or a text that may hold a template; false costs two searches. */
export function mayHoldTemplate(given: Uint8Array | string): boolean {
  if (typeof given === "string") return given.includes(OPEN) || given.includes(SECRET_OPEN);
  const buffer = Buffer.isBuffer(given) ? given : Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  return buffer.includes(OPEN) || buffer.includes(SECRET_OPEN);
}

/** The pieces of a text. Braces that nothing closes are text; a reference to a secret is one even then, without a name. */
export function templateParts(text: string): readonly TemplatePart[] {
  const parts: TemplatePart[] = [];
  let done = 0;
  let value = text.indexOf(OPEN);
  let secret = text.indexOf(SECRET_OPEN);
  while (value !== -1 || secret !== -1) {
    const isValue = value !== -1 && (secret === -1 || value < secret);
    const open = isValue ? value : secret;
    const begin = open + (isValue ? OPEN.length : SECRET_OPEN.length);
    const close = text.indexOf(isValue ? CLOSE : SECRET_CLOSE, begin);
    if (close === -1 && isValue) {
      value = -1;
      continue;
    }
    if (open > done) parts.push({ kind: "text", text: text.slice(done, open) });
    if (close === -1) {
      parts.push({ kind: "secret", name: "", at: open });
      return parts;
    }
    parts.push({ kind: isValue ? "value" : "secret", name: text.slice(begin, close), at: open });
    done = close + (isValue ? CLOSE.length : SECRET_CLOSE.length);
    if (value !== -1 && value < done) value = text.indexOf(OPEN, done);
    if (secret !== -1 && secret < done) secret = text.indexOf(SECRET_OPEN, done);
  }
  if (done < text.length) parts.push({ kind: "text", text: text.slice(done) });
  return parts;
}

/** True for a name that `{{NAME}}` can have; whether there is such a parameter or label is another question. */
export function isTemplateName(name: string): boolean {
  if (PLAIN_NAMES.includes(name)) return true;
  return [PARAMETER, LABEL].some((map) => name.startsWith(map) && name.length > map.length);
}

/** What stands for `{{NAME}}`; null when there is no such parameter, label or name. */
export function templateValue(name: string, values: TemplateValues): string | null {
  if (name.startsWith(PARAMETER)) return ownValue(values.parameters, name.slice(PARAMETER.length));
  if (name.startsWith(LABEL)) return ownValue(values.labels, name.slice(LABEL.length));
  switch (name) {
    case "scheduled_time":
      return isoTimeOf(values.scheduledUs);
    case "scheduled_date":
      return isoTimeOf(values.scheduledUs).slice(0, 10);
    case "execution_id":
      return values.executionId;
    case "attempt":
      return String(values.attempt);
    case "shard_index":
      return String(values.shardIndex);
    case "shard_count":
      return String(values.shardCount);
    default:
      return null;
  }
}

/** True when `{{NAME}}` names a parameter. */
export function isParameterName(name: string): boolean {
  return name.startsWith(PARAMETER);
}

/** True for a name that a secret can have: one that is a file's in its folder, and no way out of it. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME_PATTERN.test(name) && name !== "." && name !== "..";
}

/** True when a value is a reference to a secret, or holds one. */
export function namesSecret(text: string): boolean {
  return text.includes(SECRET_OPEN);
}

function ownValue(map: Readonly<Record<string, string>>, name: string): string | null {
  return Object.hasOwn(map, name) ? (map[name] ?? null) : null;
}
