import type { FieldFaults } from "./field-faults.ts";

/** Longest payload, in bytes, as the contract says. */
export const MAX_PAYLOAD_BYTES = 256 * 1024;
/** Characters of a template that an error shows. */
const MAX_SHOWN_CHARACTERS = 64;

/** True when the JSON is not too large; templates in it are noted. */
export function checkJson(faults: FieldFaults, field: string, value: unknown): boolean {
  const size = Buffer.byteLength(JSON.stringify(value) ?? "");
  if (size > MAX_PAYLOAD_BYTES) {
    faults.add(field, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${size}`);
    return false;
  }
  for (const text of textsOf(value)) refuseTemplate(faults, field, text);
  return true;
}

/** The texts inside of a JSON value, which came over the wire and is at most 50 levels deep. */
function textsOf(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

/**
 * What later versions fill in would run here as it stands, so it is refused.
 * Searched for without a pattern: a text of braces alone costs one a time that grows with its square.
 */
export function refuseTemplate(faults: FieldFaults, field: string, value: string): void {
  const open = value.indexOf("{{");
  const close = open === -1 ? -1 : value.indexOf("}}", open + 2);
  const secret = value.indexOf("${secret:");
  const at = close === -1 ? secret : open;
  const end = close === -1 ? at + MAX_SHOWN_CHARACTERS : close + 2;
  const shown = value.slice(at, Math.min(end, at + MAX_SHOWN_CHARACTERS));
  faults.unsupported(`${field} (the template ${shown})`, at !== -1);
}
