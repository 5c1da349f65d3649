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

/** The names that the original's jobs and logs are kept under. */
export const KEPT_JOBS = JOBS.keptAs;
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
    const isOriginals = ORIGINALS.some(({ name }) => name === table.name);
    if (shape === undefined || isOriginals || isOurs(table, shape)) continue;
    throw unsuitable(table.name, strangeColumn(table, shape), `the table ${table.name} is not jobmesh's`);
  }
  return ORIGINALS.filter((original) => {
    const shape = shapes.get(original.name);
    const table = tables.find(({ name }) => name === original.name);
    if (shape === undefined || table === undefined || isOurs(table, shape)) return false;
    checkShape(original, shape);
    if (!shapes.has(original.keptAs)) return true;
    throw unsuitable(
      original.keptAs,
      "",
      `${original.name} is the original's, and there is ${original.keptAs} already`,
    );
  });
}

/** True when a table has our key and nothing that we do not know. */
function isOurs(table: Table, shape: TableShape): boolean {
  return strangeColumn(table, shape) === "";
}

/** A column of our key that a table lacks, else one that is not ours; "" when there is none. */
function strangeColumn(table: Table, shape: TableShape): string {
  const keys = Object.entries(table.columns).filter(([, column]) => column.primary);
  const missing = keys.find(([name]) => !shape.has(name))?.[0];
  return missing ?? [...shape.keys()].find((name) => !Object.hasOwn(table.columns, name)) ?? "";
}

/** Throws BACKEND_UNSUITABLE for a table that is not the original's. */
function checkShape({ name, columns, isWhole }: Original, shape: TableShape): void {
  const neither = `the table ${name} is neither jobmesh's nor the original's`;
  for (const [column, kind] of Object.entries(columns)) {
    const type = shape.get(column);
    if (type === undefined) throw unsuitable(name, column, `${neither}: it has no column ${column}`);
    const types: readonly string[] = KINDS[kind];
    if (!types.includes(type))
      throw unsuitable(name, column, `${neither}: its column ${column} is ${type}, not ${kind}`);
  }
  const extra = [...shape.keys()].find((column) => !Object.hasOwn(columns, column));
  if (isWhole && extra !== undefined) {
    throw unsuitable(name, extra, `${neither}: the original has no column ${extra}`);
  }
}

/** What stands in the way of an adoption, with the table and column in words and for programs. */
export function unsuitable(table: string, column: string, message: string): JobmeshError {
  const metadata = column === "" ? { table } : { table, column };
  return new JobmeshError("BACKEND_UNSUITABLE", { message: `${message}; nothing was changed`, metadata });
}
