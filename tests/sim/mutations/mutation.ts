/** A text of one file, which is there once, and what stands there instead. */
export type Change = { readonly file: string; readonly find: string; readonly replace: string };

/** A planted fault. */
export type Mutation = {
  /** A few words, unique. */
  readonly name: string;
  /** Numbers of the rules that it breaks. */
  readonly rules: readonly number[];
  readonly changes: readonly Change[];
};
