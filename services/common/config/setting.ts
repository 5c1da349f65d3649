import type { FieldViolation } from "../error/jobmesh-error.ts";
import { formatHostPort, parseHostPort } from "./listen-address.ts";
import { formatBytes, formatDuration, parseBytes, parseDuration, parseLabels } from "./value-text.ts";

/** A reading of a text: the value, or what is wrong with it, as "must be …". */
export type Reading<T> = { readonly value: T } | { readonly fault: string };

/** One setting of a process: where it comes from, what it takes, what it means. */
export interface Setting<T> {
  /** Environment variable; its flag follows from it. */
  readonly env: string;
  /** Default as a user would write it; null when the setting is unset by default. */
  readonly default: string | null;
  /** One sentence for help and docs. */
  readonly meaning: string;
  /** What it takes: "duration, 100ms to 1m". */
  readonly takes: string;
  /** A switch: its flag alone means true. */
  readonly isSwitch: boolean;
  /** Never printed, not even in a fault. */
  readonly secret: boolean;
  read(text: string): Reading<T>;
}

/** What a declaration says beside its kind. */
export interface Declaration {
  readonly env: string;
  readonly default: string;
  readonly meaning: string;
}

/** A setting that may stay unset. */
export type OptionalDeclaration = Omit<Declaration, "default">;

/** Smallest and largest value. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Have no flag: every user of a machine can see the command lines of all. */
const FLAGLESS = ["JOBMESH_TOKEN", "JOBMESH_KAFKA_PASSWORD"];

/** Flag of a setting: "--data-dir" for JOBMESH_DATA_DIR. OpenTelemetry's own names have none, nor have secrets. */
export function flagOf(env: string): string | null {
  if (!env.startsWith("JOBMESH_") || FLAGLESS.includes(env)) return null;
  return `--${env.slice("JOBMESH_".length).toLowerCase().replaceAll("_", "-")}`;
}

/** A fault of a setting, by both its names. */
export function violation(env: string, description: string): FieldViolation {
  const flag = flagOf(env);
  return { field: flag === null ? env : `${env} (${flag})`, description };
}

/** A text that matches a pattern. */
export function text(declared: Declaration, pattern: RegExp, takes: string): Setting<string> {
  return make(declared, takes, (given) => (pattern.test(given) ? { value: given } : { fault: `must be ${takes}` }));
}

/** One of a few words. */
export function choice<T extends string>(declared: Declaration, words: readonly T[]): Setting<T> {
  const takes = words.join(" | ");
  return make(declared, takes, (given) => {
    const value = words.find((word) => word === given);
    return value === undefined ? { fault: `must be one of ${words.join(", ")}` } : { value };
  });
}

/** A whole number. */
export function integer(declared: Declaration, range: Range): Setting<number> {
  const read = (given: string): number | null => (/^-?\d+$/.test(given) ? Number(given) : null);
  return ranged(declared, range, "whole number", read, String);
}

/** Milliseconds, written as "250ms", "1s", "1m30s". */
export function duration(declared: Declaration, range: Range): Setting<number> {
  return ranged(declared, range, "duration", parseDuration, formatDuration);
}

/** Bytes, written as "4MiB". */
export function bytes(declared: Declaration, range: Range): Setting<number> {
  return ranged(declared, range, "size", parseBytes, formatBytes);
}

/** True or false. */
export function toggle(declared: Declaration): Setting<boolean> {
  const read = (given: string): Reading<boolean> => {
    if (given === "true" || given === "1") return { value: true };
    if (given === "false" || given === "0") return { value: false };
    return { fault: "must be true or false" };
  };
  return { ...make(declared, "true | false", read), isSwitch: true };
}

/** "host:port". */
export function hostPort(declared: Declaration): Setting<string> {
  return make(declared, "host:port", (given) => {
    const address = parseHostPort(given);
    return address === null
      ? { fault: "must be host:port, with a port of 0 to 65535" }
      : { value: formatHostPort(address) };
  });
}

/** Addresses, separated by commas; those of endpoints with one of the schemes before them, the first where none is. */
export function hostPorts(declared: Declaration, schemes: readonly string[] = []): Setting<readonly string[]> {
  const takes = `${schemes.join(" or ")}host:port,…`;
  return make(declared, takes, (given) => {
    const items = listOf(given);
    const addresses = items.map((item) => readAddress(item, schemes)).filter((address) => address !== null);
    if (addresses.length !== items.length || items.length > MAX_ADDRESSES) {
      return { fault: `must be 1 to ${MAX_ADDRESSES} of ${schemes.join(" or ")}host:port, separated by commas` };
    }
    return { value: Object.freeze(addresses) };
  });
}

/** Words that match a pattern, separated by commas. */
export function list(declared: Declaration, pattern: RegExp, takes: string): Setting<readonly string[]> {
  return make(declared, `${takes},…`, (given) => {
    const items = listOf(given);
    if (items.some((item) => !pattern.test(item))) return { fault: `must be ${takes}, separated by commas` };
    return { value: Object.freeze(items) };
  });
}

/** "k=v,k=v". */
export function labels(declared: Declaration): Setting<Readonly<Record<string, string>>> {
  return make(declared, "key=value,…", (given) => {
    const value = parseLabels(given);
    return value === null ? { fault: "must be key=value pairs, separated by commas, each key once" } : { value };
  });
}

/** A setting of a kind of its own. */
export function custom<T>(declared: Declaration, takes: string, read: (given: string) => Reading<T>): Setting<T> {
  return make(declared, takes, read);
}

/** The same setting, unset by default: null. */
export function optional<T>(
  kind: (declared: Declaration) => Setting<T>,
  declared: OptionalDeclaration,
): Setting<T | null> {
  return { ...kind({ ...declared, default: "" }), default: null };
}

/** The same setting, never printed. */
export function secret<T>(setting: Setting<T>): Setting<T> {
  return { ...setting, secret: true };
}

/** Longest list of addresses: a cluster's seeds, not its members. */
const MAX_ADDRESSES = 32;

function make<T>(declared: Declaration, takes: string, read: (given: string) => Reading<T>): Setting<T> {
  return { ...declared, takes, isSwitch: false, secret: false, read };
}

function ranged(
  declared: Declaration,
  { min, max }: Range,
  kind: string,
  parse: (given: string) => number | null,
  format: (value: number) => string,
): Setting<number> {
  const takes = `${kind}, ${format(min)} to ${format(max)}`;
  return make(declared, takes, (given) => {
    const value = parse(given);
    if (value === null || value < min || value > max)
      return { fault: `must be a ${kind} of ${format(min)} to ${format(max)}` };
    return { value };
  });
}

function listOf(given: string): string[] {
  return given
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function readAddress(item: string, schemes: readonly string[]): string | null {
  const given = schemes.find((scheme) => item.startsWith(scheme));
  const address = parseHostPort(item.slice(given?.length ?? 0));
  return address === null ? null : `${given ?? schemes[0] ?? ""}${formatHostPort(address)}`;
}
