import { MIGRATIONS_TABLE, migrations, pendingMigrations } from "../sql/migration/migrations.ts";
import { openHandle, type SqliteHandle } from "./handle.ts";

/**
 * Brings a data file up to the newest schema. TypeORM takes a third of a
 * second to load, so it is loaded only when there is something to run; the
 * caller holds the file's lock. Throws StoreTooNew.
 */
export async function migrateFile(file: string, handle: SqliteHandle): Promise<void> {
  if (pendingMigrations(appliedTo(handle)).length === 0) return;
  const source = await dataSource(file);
  await source.runMigrations({ transaction: "each" });
  await source.destroy();
}

let image: Promise<Buffer> | undefined;

/** A database in memory with the newest schema. TypeORM makes it once in a process, later ones are copies. */
export async function openMemory(): Promise<SqliteHandle> {
  image ??= migratedImage();
  return openHandle(await image, 0);
}

function appliedTo(handle: SqliteHandle): string[] {
  const tables = handle
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?")
    .all([MIGRATIONS_TABLE]);
  if (tables.length === 0) return [];
  return handle
    .prepare(`SELECT name FROM ${MIGRATIONS_TABLE}`)
    .all([])
    .map((row) => String(row.name));
}

async function migratedImage(): Promise<Buffer> {
  const handles: SqliteHandle[] = [];
  const source = await dataSource(":memory:", (handle) => handles.push(handle));
  await source.runMigrations({ transaction: "each" });
  const [handle] = handles;
  if (handle === undefined) throw new Error("TypeORM opened no database");
  const bytes = handle.serialize();
  await source.destroy();
  return bytes;
}

async function dataSource(file: string, opened: (handle: SqliteHandle) => void = () => {}) {
  const { DataSource } = await import("typeorm");
  const source = new DataSource({
    type: "better-sqlite3",
    database: file,
    migrations,
    migrationsTableName: MIGRATIONS_TABLE,
    prepareDatabase: opened,
  });
  return await source.initialize();
}
