/** A verdict of a checker: which promise was broken, and by what. The first one ends the run. */
export type Verdict = { readonly checker: string; readonly what: string; readonly atMs: number };

/** Thrown by what looks after the promises. */
export class Broken extends Error {
  override readonly name = "Broken";
  readonly checker: string;

  constructor(checker: string, what: string) {
    super(what);
    this.checker = checker;
  }
}

/** Throws when a promise is broken. */
export function promise(checker: string, isKept: boolean, what: () => string): asserts isKept {
  if (!isKept) throw new Broken(checker, what());
}
