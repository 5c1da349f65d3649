import { JobmeshError } from "../../../error/jobmesh-error.ts";
import { inList } from "../dialect.ts";
import type { Table } from "../entity/column.ts";
import { tables } from "../entity/tables.ts";
import { text } from "../row-reader.ts";
import type { SqlSession } from "../session.ts";

/**
 * The tables of the system that jobmesh replaces, and how they are told from
 * ours: three of our tables bear the names of its own. Before the first
 * migration each table that is there under one of our names is ours (a first
 * migration that was cut off), the original's, or in the way.
 */

/** Kinds of the original's columns: the engines' types that stand for each. */
const KINDS = {
  text: ["char", "varchar", "tinytext", "text", "mediumtext", "longtext"],
  number: ["tinyint", "smallint", "mediumint", "int", "bigint"],
  time: ["datetime", "timestamp"],
} as const;

/** A kind of column, for words. */
type Kind = keyof typeof KINDS;

/** One of the original's tables. */
type Original = {
  readonly name: string;
  /** Where it stands once it is ours no more. */
  readonly keptAs: string;
  readonly columns: Readonly<Record<string, Kind>>;
  /** True when it has these columns and no others; false when what else it has does not matter. */
  readonly isWhole: boolean;
};

const JOBS: Original = {
  name: "jobs",
  keptAs: "original_jobs",
  columns: {
    job_id: "text",
    name: "text",
    command: "text",
    type: "number",
    priority: "number",
    cron_expression: "text",
    timeout: "number",
    retry_count: "number",
    retry_interval: "number",
    create_time: "time",
    update_time: "time",
  },
  isWhole: true,
};

const LOGS: Original = {
  name: "job_logs",
  keptAs: "original_job_logs",
  columns: {
    id: "number",
    job_id: "text",
    executor_id: "text",
    status: "number",
    start_time: "time",
    end_time: "time",
    output: "text",
    error: "text",
  },
  isWhole: true,
};

/** Registrations of its executors. Ours register anew, so nothing of it is read. */
const EXECUTORS: Original = {
  name: "executors",
  keptAs: "original_executors",
  columns: { executor_id: "text", host: "text", port: "number" },
  isWhole: false,
};

const ORIGINALS = [LOGS, EXECUTORS, JOBS];

/** The name that the original's jobs are kept under. */
export const KEPT_JOBS = JOBS.keptAs;
/** The name that its logs are kept under. */
export const KEPT_LOGS = LOGS.keptAs;

/** Those that something is copied from. */
export const KEPT_TABLES: readonly string[] = [KEPT_JOBS, KEPT_LOGS];

/** Every name that is looked for: our tables, and what the original's are kept as. */
const NAMES: readonly string[] = [...tables.map(({ name }) => name), ...ORIGINALS.map(({ keptAs }) => keptAs)];

/** Types of a table's columns, in lower case, in their order. */
export type TableShape = ReadonlyMap<string, string>;

/** One of the original's tables that stands where ours belongs. */
export type Found = { readonly name: string; readonly keptAs: string };

/** The shapes of what there is, by name. */
export async function readShapes(session: SqlSession): Promise<ReadonlyMap<string, TableShape>> {
  const rows = await session.query(
    `SELECT table_name AS table_name, column_name AS column_name, data_type AS data_type
      FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN (${inList(NAMES.length)})
      ORDER BY table_name, ordinal_position`,
    NAMES,
  );
  const shapes = new Map<string, Map<string, string>>();
  for (const row of rows) {
    const name = text(row, "table_name");
    const shape = shapes.get(name) ?? new Map<string, string>();
    shapes.set(name, shape.set(text(row, "column_name").toLowerCase(), text(row, "data_type").toLowerCase()));
  }
  return shapes;
}

/** Those of the original's tables that stand where ours belong. Throws BACKEND_UNSUITABLE for any table that is in the way. */
export function findOriginals(shapes: ReadonlyMap<string, TableShape>): readonly Found[] {
  for (const table of tables) {
    const shape = shapes.get(table.name);
    const original = ORIGINALS.find(({ name }) => name === table.name);
    if (shape === undefined || isOurs(table, shape, original)) continue;
    const fault = original === undefined ? strangeColumn(table, shape) : strangeness(original, shape);
    if (fault === null) continue;
    const not = original === undefined ? "not jobmesh's" : "neither jobmesh's nor the original's";
    throw unsuitable(table.name, fault.column, `the table ${table.name} is ${not}: ${fault.words}`);
  }
  return ORIGINALS.filter((original) => {
    const shape = shapes.get(original.name);
    const isThere = shape !== undefined && strangeness(original, shape) === null;
    if (!isThere || !shapes.has(original.keptAs)) return isThere;
    throw unsuitable(
      original.keptAs,
      "",
      `${original.name} is the original's, and there is ${original.keptAs} already`,
    );
  });
}

/** The shape of what was kept of the original under a name; undefined when there is no such table, or another one. */
export function keptShape(shapes: ReadonlyMap<string, TableShape>, keptAs: string): TableShape | undefined {
  const original = ORIGINALS.find((one) => one.keptAs === keptAs);
  const shape = shapes.get(keptAs);
  return original === undefined || shape === undefined || strangeness(original, shape) !== null ? undefined : shape;
}

/** True for a table of nothing but columns of ours, among them our key and one that the original has not. */
function isOurs(table: Table, shape: TableShape, original: Original | undefined): boolean {
  if (strangeColumn(table, shape) !== null) return false;
  return original === undefined || [...shape.keys()].some((column) => !Object.hasOwn(original.columns, column));
}

/** What makes a table another one than was looked for. */
type Strangeness = { readonly column: string; readonly words: string };

function missing(column: string): Strangeness {
  return { column, words: `it has no column ${column}` };
}

function unknown(column: string): Strangeness {
  return { column, words: `its column ${column} is unknown` };
}

/** A column of our key that a table lacks, else one that is not ours; null when there is none. */
function strangeColumn(table: Table, shape: TableShape): Strangeness | null {
  const keys = Object.keys(table.columns).filter((name) => table.columns[name]?.primary);
  const key = keys.find((name) => !shape.has(name));
  if (key !== undefined) return missing(key);
  const extra = [...shape.keys()].find((name) => !Object.hasOwn(table.columns, name));
  return extra === undefined ? null : unknown(extra);
}

/** The first column by which a table is not the original's; null when it is. */
function strangeness({ columns, isWhole }: Original, shape: TableShape): Strangeness | null {
  for (const [column, kind] of Object.entries(columns)) {
    const type = shape.get(column);
    const types: readonly string[] = KINDS[kind];
    if (type === undefined) return missing(column);
    if (!types.includes(type)) return { column, words: `its column ${column} is ${type}, not a ${kind}` };
  }
  const extra = isWhole ? [...shape.keys()].find((column) => !Object.hasOwn(columns, column)) : undefined;
  return extra === undefined ? null : unknown(extra);
}

/** What stands in the way of an adoption, with the table and column in words and for programs. */
export function unsuitable(table: string, column: string, message: string): JobmeshError {
  const metadata = column === "" ? { table } : { table, column };
  return new JobmeshError("BACKEND_UNSUITABLE", { message: `${message}; nothing was changed`, metadata });
}
