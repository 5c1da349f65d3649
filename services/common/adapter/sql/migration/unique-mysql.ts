/**
 * Unique keys and retried executions on MySQL and MariaDB. Frozen: changes are
 * new migrations. One statement, which the engine does whole or not at all.
 */
export const uniqueMysql: readonly string[] = [
  `ALTER TABLE executions
    ADD COLUMN live_unique_key char(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN retry_of char(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD UNIQUE INDEX ux_executions_unique (live_unique_key)`,
];
