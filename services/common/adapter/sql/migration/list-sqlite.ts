/** Labels for lists, and progress, on SQLite. Frozen: changes are new migrations. */
export const listSqlite = {
  labels: [
    `CREATE TABLE IF NOT EXISTS "execution_labels" (
      "execution_id" varchar(36) NOT NULL,
      "label" bigint NOT NULL,
      PRIMARY KEY ("execution_id", "label")
    )`,
    `CREATE INDEX IF NOT EXISTS "ix_execution_labels_label" ON "execution_labels" ("label", "execution_id")`,
  ],
  column: `ALTER TABLE "executions" ADD COLUMN "progress" text`,
} as const;
