/** What measures one kind of call: made once, at its first use. */
export type MeasureOf = (call: string) => { nowMs(): number; took(ms: number): void };

/** What hears of a part's calls that were answered: the answer, then what was asked. */
export type Listeners<T> = {
  readonly [K in keyof T]?: T[K] extends (...args: infer A) => Promise<infer R>
    ? (answer: R, ...args: A) => void
    : never;
};

type Call = (...args: readonly unknown[]) => unknown;
type Listener = (answer: unknown, ...args: readonly unknown[]) => void;

/** A part of a port whose calls are timed and listened to, by one after the other. Errors go through as they come, timed as well. */
export function measured<T extends object>(
  part: T,
  name: string,
  measure: MeasureOf,
  listeners: readonly Listeners<T>[],
): T {
  const calls = new Map<PropertyKey, unknown>();
  const wrap = (key: PropertyKey): unknown => {
    const value: unknown = Reflect.get(part, key, part);
    if (typeof value !== "function") return value;
    const call = (...args: readonly unknown[]): unknown => Reflect.apply(value, part, args);
    const own = listeners.flatMap((one) => (Reflect.get(one, key) as Listener | undefined) ?? []);
    return timed(call, measure(`${name}.${String(key)}`), own);
  };
  return new Proxy(part, {
    get: (_target, key) => {
      if (!calls.has(key)) calls.set(key, wrap(key));
      return calls.get(key);
    },
  });
}

function timed(call: Call, measure: ReturnType<MeasureOf>, listeners: readonly Listener[]): Call {
  return async (...args) => {
    const startMs = measure.nowMs();
    try {
      const answer = await call(...args);
      for (const listener of listeners) listener(answer, ...args);
      return answer;
    } finally {
      measure.took(measure.nowMs() - startMs);
    }
  };
}
