/**
 * Drains and turns on MySQL and MariaDB. Frozen: changes are new migrations.
 * The column comes last: where it is, the table is.
 */
export const pinMysql: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS pin_turns (
    route_id bigint NOT NULL,
    taken bigint NOT NULL,
    PRIMARY KEY (route_id)
  ) ENGINE=InnoDB`,
  `ALTER TABLE executors ADD COLUMN drain_us bigint NULL`,
];
