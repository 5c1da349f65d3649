/**
 * Labels for lists, and progress, on MySQL and MariaDB. Frozen: changes are new
 * migrations. The column comes last: where it is, all is.
 */
export const listMysql = {
  labels: [
    `CREATE TABLE IF NOT EXISTS execution_labels (
      execution_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      label bigint NOT NULL,
      INDEX ix_execution_labels_label (label, execution_id),
      PRIMARY KEY (execution_id, label)
    ) ENGINE=InnoDB`,
  ],
  column: "ALTER TABLE executions ADD COLUMN progress text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL",
} as const;
