import { EntitySchema, type EntitySchemaColumnOptions, type EntitySchemaIndexOptions } from "typeorm";
import type { Column, Table, TableIndex } from "./column.ts";
import { tables } from "./tables.ts";

/** The engines that the schema is written for. */
export type Engine = "mysql" | "sqlite";

/** All tables as TypeORM's entities for an engine. */
export function entities(engine: Engine): EntitySchema[] {
  return tables.map((table) => entity(table, engine));
}

function entity(table: Table, engine: Engine): EntitySchema {
  const options = engine === "mysql" ? mysqlColumn : sqliteColumn;
  const columns = Object.entries(table.columns).map(([name, column]) => [name, options(column)] as const);
  return new EntitySchema({
    name: table.name,
    tableName: table.name,
    columns: Object.fromEntries(columns),
    indices: table.indexes.map((index) => indexOptions(index, engine)),
  });
}

function indexOptions({ name, columns, unique, sparse }: TableIndex, engine: Engine): EntitySchemaIndexOptions {
  const where = sparse && engine === "sqlite" ? { where: `"${columns[0]}" IS NOT NULL` } : {};
  return { name, columns: [...columns], unique, ...where };
}

function shared(column: Column): Omit<EntitySchemaColumnOptions, "type"> {
  return {
    primary: column.primary,
    nullable: column.nullable,
    ...(column.generated ? { generated: "increment" } : {}),
    ...(column.length > 0 ? { length: column.length } : {}),
  };
}

const ascii = { charset: "ascii", collation: "ascii_bin" } as const;
const unicode = { charset: "utf8mb4", collation: "utf8mb4_bin" } as const;

function mysqlColumn(column: Column): EntitySchemaColumnOptions {
  const base = shared(column);
  switch (column.kind) {
    case "char":
      return { ...base, type: "char", ...ascii };
    case "ascii":
      return { ...base, type: "varchar", ...ascii };
    case "exact":
      return { ...base, type: "varbinary" };
    case "varchar":
    case "text":
    case "mediumtext":
      return { ...base, type: column.kind, ...unicode };
    case "blob":
      return { ...base, type: "mediumblob" };
    case "datetime":
      return { ...base, type: "datetime", precision: 6 };
    default:
      return { ...base, type: column.kind };
  }
}

function sqliteColumn(column: Column): EntitySchemaColumnOptions {
  const base = shared(column);
  if (column.generated) return { ...base, type: "integer" };
  switch (column.kind) {
    case "char":
    case "ascii":
    case "exact":
      return { ...base, type: "varchar" };
    case "mediumtext":
      return { ...base, type: "text" };
    default:
      return { ...base, type: column.kind };
  }
}
