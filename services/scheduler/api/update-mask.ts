import type { Job } from "../../../gen/jobmesh/v1/job.ts";
import type { FieldFaults } from "./field-faults.ts";

/** Fields that an update can change, by their names in the contract. */
const MASKED_FIELDS = {
  name: "name",
  description: "description",
  labels: "labels",
  target: "target",
  schedule: "schedule",
  policy: "policy",
  parameters: "parameters",
} as const satisfies Record<string, keyof Job>;

/**
 * The stored job with the masked fields of the given one. An empty mask
 * changes every field, so that what is left out returns to its default.
 */
export function maskedJob(faults: FieldFaults, stored: Job, given: Job, mask: readonly string[]): Job {
  const names = mask.length === 0 ? Object.keys(MASKED_FIELDS) : mask;
  const merged: Job = { ...stored };
  names.forEach((name, index) => {
    if (!isMaskable(name)) {
      const allowed = Object.keys(MASKED_FIELDS).join(", ");
      faults.add(`update_mask.paths[${index}]`, `must be one of ${allowed}; was ${JSON.stringify(name.slice(0, 64))}`);
    } else {
      Object.assign(merged, { [MASKED_FIELDS[name]]: given[MASKED_FIELDS[name]] });
    }
  });
  return merged;
}

function isMaskable(name: string): name is keyof typeof MASKED_FIELDS {
  return Object.hasOwn(MASKED_FIELDS, name);
}
