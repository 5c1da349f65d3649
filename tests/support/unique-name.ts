let names = 0;

/** A name that nothing else in this process uses. */
export function uniqueName(prefix: string): string {
  names += 1;
  return `${prefix}-${names}`;
}
