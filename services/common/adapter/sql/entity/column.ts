/**
 * Kinds of columns, the same for both engines. Identifiers and all other text
 * compare by byte (rule 8): ascii_bin and utf8mb4_bin on MySQL, as SQLite does
 * by itself. `exact` is text that a caller chose freely and that is a key:
 * MySQL's collations take "a" and "a " for one, bytes do not.
 */
export type ColumnKind =
  | "char" // fixed length, ASCII
  | "ascii" // identifiers and hex
  | "exact" // keys of any text, VARBINARY on MySQL
  | "varchar" // text of people
  | "text" // up to 64 KiB
  | "mediumtext" // up to 16 MiB
  | "blob" // bytes, up to 16 MiB
  | "bigint"
  | "int"
  | "smallint"
  | "tinyint"
  | "double"
  | "datetime"; // the original's times, with microseconds

/** One column of a table, as both engines have it. */
export type Column = {
  readonly kind: ColumnKind;
  /** Characters; 0 for kinds without length. */
  readonly length: number;
  readonly nullable: boolean;
  readonly primary: boolean;
  /** Numbered by the engine. */
  readonly generated: boolean;
};

/** A table: its columns in order, and its indexes. */
export type Table = {
  readonly name: string;
  readonly columns: Readonly<Record<string, Column>>;
  readonly indexes: readonly TableIndex[];
};

/** An index of a table. Names are unique in the database, as SQLite wants it. */
export type TableIndex = {
  readonly name: string;
  readonly columns: readonly string[];
  readonly unique: boolean;
  /** Rows whose first column is NULL are never looked for by it: SQLite leaves them out. */
  readonly sparse: boolean;
};

/** A column that is never NULL. */
export function column(kind: ColumnKind, length = 0): Column {
  return { kind, length, nullable: false, primary: false, generated: false };
}

/** The same column where NULL is allowed. */
export function nullable(base: Column): Column {
  return { ...base, nullable: true };
}

/** The same column as part of the primary key. */
export function primary(base: Column): Column {
  return { ...base, primary: true };
}

/** An index. */
export function index(name: string, ...columns: string[]): TableIndex {
  return { name, columns, unique: false, sparse: false };
}

/** An index of the rows whose first column is not NULL. */
export function sparse(name: string, ...columns: string[]): TableIndex {
  return { name, columns, unique: false, sparse: true };
}

/** A unique index. */
export function unique(name: string, ...columns: string[]): TableIndex {
  return { name, columns, unique: true, sparse: false };
}

/** Identifiers of people: jobs, namespaces, executors, incarnations. */
export const identifier: Column = column("ascii", 64);
/** A UUID. */
export const uuid: Column = column("char", 36);
/** Microseconds of mesh time. */
export const timeUs: Column = column("bigint");
/** A time that may be missing. */
export const noTimeUs: Column = nullable(timeUs);
