/** Numbers that look random and are the same in every run of a seed. */
export type SeededDraw = {
  /** A whole number from 0 up to but without `size`. */
  below(size: number): number;
  /** One of some items. */
  pick<Item>(items: readonly Item[]): Item;
  /** True once in `times`. */
  onceIn(times: number): boolean;
};

/** Draws by mulberry32. */
export function seededDraw(seed: number): SeededDraw {
  let state = seed >>> 0;
  const below = (size: number) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * size);
  };
  return {
    below,
    pick: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error("nothing to pick from");
      return item;
    },
    onceIn: (times) => below(times) === 0,
  };
}
