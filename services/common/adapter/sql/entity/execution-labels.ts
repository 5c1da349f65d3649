import { column, index, primary, type Table, uuid } from "./column.ts";

/** Labels of the executions that have any, for lists: the first 63 bits of the SHA-256 of namespace, key and value. */
export const executionLabels: Table = {
  name: "execution_labels",
  columns: { execution_id: primary(uuid), label: primary(column("bigint")) },
  indexes: [index("ix_execution_labels_label", "label", "execution_id")],
};
