import { StoreTooNew } from "../../../port/store.ts";
import { DeadlineSchema1795996800000 } from "./deadline-schema.ts";
import { DescriptorSchema1796860800000 } from "./descriptor-schema.ts";
import { EndSchema1796774400000 } from "./end-schema.ts";
import { InitialSchema1795392000000 } from "./initial-schema.ts";
import { ListSchema1796342400000 } from "./list-schema.ts";
import { ParameterSchema1796515200000 } from "./parameter-schema.ts";
import { PinSchema1796256000000 } from "./pin-schema.ts";
import { UniqueSchema1796083200000 } from "./unique-schema.ts";

/** All migrations, oldest first. A name ends in 13 digits of time, by which they are ordered. */
export const migrations = [
  InitialSchema1795392000000,
  DeadlineSchema1795996800000,
  UniqueSchema1796083200000,
  PinSchema1796256000000,
  ListSchema1796342400000,
  ParameterSchema1796515200000,
  EndSchema1796774400000,
  DescriptorSchema1796860800000,
];

/** TypeORM's table of what was applied. */
export const MIGRATIONS_TABLE = "schema_migrations";

/**
 * Which migrations are still to be run on a store where `applied` were.
 * Throws StoreTooNew when the store has some that this version does not know.
 */
export function pendingMigrations(applied: readonly string[]): readonly string[] {
  const known = migrations.map((migration) => migration.name);
  const unknown = applied.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new StoreTooNew(`the data was written by a newer version of jobmesh (${unknown.join(", ")})`);
  }
  return known.filter((name) => !applied.includes(name));
}
