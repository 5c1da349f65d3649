import {
  MAX_PARAMETER_CHARACTERS,
  MAX_PARAMETERS,
  MAX_PARAMETERS_BYTES,
  mergedParameters,
  PARAMETER_NAME_PATTERN,
  type Parameters,
} from "../../common/domain/parameter.ts";
import type { FieldFaults } from "./field-faults.ts";

/** Characters of a name that a fault shows. */
const MAX_SHOWN_CHARACTERS = 64;

/** Parameters as a caller gives them, in the order of their names; null when there are none. */
export function checkParameters(
  faults: FieldFaults,
  field: string,
  given: Readonly<Record<string, string>>,
): Parameters {
  const entries = Object.entries(given);
  if (entries.length === 0) return null;
  if (!checkSize(faults, field, given)) return null;
  for (const [name, value] of entries) {
    const place = `${field}[${JSON.stringify(name.slice(0, MAX_SHOWN_CHARACTERS))}]`;
    if (!PARAMETER_NAME_PATTERN.test(name)) faults.add(place, "name must be 1 to 63 of [A-Za-z0-9._-]");
    faults.text(place, value, MAX_PARAMETER_CHARACTERS);
  }
  return mergedParameters(null, given);
}

/** True when they are not too many and not too large, together: what is merged is checked again. */
export function checkSize(faults: FieldFaults, field: string, parameters: Parameters): boolean {
  if (parameters === null) return true;
  const count = Object.keys(parameters).length;
  if (count > MAX_PARAMETERS) {
    faults.add(field, `must be at most ${MAX_PARAMETERS} entries; was ${count}`);
    return false;
  }
  const size = Buffer.byteLength(JSON.stringify(parameters));
  if (size <= MAX_PARAMETERS_BYTES) return true;
  faults.add(field, `must be at most ${MAX_PARAMETERS_BYTES} bytes as JSON, all together; was ${size}`);
  return false;
}
