import { column, index, noTimeUs, nullable, primary, type Table, timeUs, uuid } from "./column.ts";

/** Texts of routes (rule 6). */
export const routes: Table = {
  name: "routes",
  columns: { route_id: primary(column("bigint")), text: column("text") },
  indexes: [],
};

/** How many pins each route has given, by the route of what waits for one (rule 32). */
export const pinTurns: Table = {
  name: "pin_turns",
  columns: { route_id: primary(column("bigint")), taken: column("bigint") },
  indexes: [],
};

/** How far each result partition is stored (rules 3 and 27). */
export const resultOffsets: Table = {
  name: "result_offsets",
  columns: {
    part: primary(column("int")),
    generation: column("bigint"),
    next_offset: column("bigint"),
    last_key: column("ascii", 160),
    stored_us: timeUs,
  },
  indexes: [],
};

/** Registered sets of descriptors. */
export const descriptors: Table = {
  name: "descriptors",
  columns: { hash: primary(column("char", 64)), bytes: column("blob"), stored_us: timeUs },
  indexes: [],
};

/** Which sets of the whole mesh have a method: executors registered them. */
export const descriptorMethods: Table = {
  name: "descriptor_methods",
  columns: { method: primary(column("varchar", 255)), hash: primary(column("char", 64)), stored_us: timeUs },
  indexes: [index("ix_descriptor_methods_hash", "hash")],
};

/** Which sets that somebody put for a namespace have a method. */
export const namespaceMethods: Table = {
  name: "namespace_methods",
  columns: {
    namespace: primary(column("ascii", 64)),
    method: primary(column("varchar", 255)),
    hash: primary(column("char", 64)),
    stored_us: timeUs,
  },
  indexes: [index("ix_namespace_methods_hash", "hash")],
};

/** Where readers of the feed stand (rule 34). */
export const feeds: Table = {
  name: "feeds",
  columns: { name: primary(column("ascii", 64)), ended_us: noTimeUs, execution_id: nullable(uuid) },
  indexes: [],
};

/** Facts of the whole mesh, by name. */
export const mesh: Table = {
  name: "mesh",
  columns: { name: primary(column("ascii", 64)), value: column("varchar", 255) },
  indexes: [],
};
