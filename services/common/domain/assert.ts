/** A programmer's error: something that the code itself promises does not hold. */
export class AssertionFault extends Error {
  override readonly name = "AssertionFault";
}

/** Throws when a condition that the code itself must keep does not hold. On in production. */
export function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new AssertionFault(why);
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionFault(`unexpected value ${String(value)}`);
}
