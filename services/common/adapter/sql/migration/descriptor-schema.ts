import { AddedColumns } from "./added-columns.ts";

/**
 * Descriptors that were put for one namespace. Frozen: changes are new migrations. What was put before this is the whole
 * mesh's, and stays so.
 */
export class DescriptorSchema1796860800000 extends AddedColumns {
  readonly name = "DescriptorSchema1796860800000";
  protected override readonly table = "namespace_methods";
  protected readonly column = "stored_us";
  protected readonly mysql = [
    `CREATE TABLE IF NOT EXISTS namespace_methods (
      namespace varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      method varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
      hash char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      stored_us bigint NOT NULL,
      INDEX ix_namespace_methods_hash (hash),
      PRIMARY KEY (namespace, method, hash)
    ) ENGINE=InnoDB`,
  ];
  protected readonly sqlite = [
    `CREATE TABLE "namespace_methods" (
      "namespace" varchar(64) NOT NULL,
      "method" varchar(255) NOT NULL,
      "hash" varchar(64) NOT NULL,
      "stored_us" bigint NOT NULL,
      PRIMARY KEY ("namespace", "method", "hash")
    )`,
    `CREATE INDEX "ix_namespace_methods_hash" ON "namespace_methods" ("hash")`,
  ];
}
