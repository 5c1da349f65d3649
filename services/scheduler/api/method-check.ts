import type { FieldFaults } from "./field-faults.ts";

/** Longest method name, in characters. */
export const MAX_METHOD_CHARACTERS = 255;
/** "package.Service/Method". */
const METHOD_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\/[A-Za-z_][A-Za-z0-9_]*$/;

/** True when the text is a full method name of at most MAX_METHOD_CHARACTERS. */
export function isMethod(text: string): boolean {
  return text.length <= MAX_METHOD_CHARACTERS && METHOD_PATTERN.test(text);
}

/** True when the text is a full method name; else what it must be is noted. */
export function checkMethod(faults: FieldFaults, field: string, method: string): boolean {
  if (isMethod(method)) return true;
  const limit = `of at most ${MAX_METHOD_CHARACTERS} characters`;
  faults.add(field, `must be a full method name, "package.Service/Method", ${limit}`);
  return false;
}
