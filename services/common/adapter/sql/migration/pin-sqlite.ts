/** Drains and turns on SQLite. Frozen: changes are new migrations. */
export const pinSqlite: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS "pin_turns" ("route_id" bigint PRIMARY KEY NOT NULL, "taken" bigint NOT NULL)`,
  `ALTER TABLE "executors" ADD COLUMN "drain_us" bigint`,
];
