import { type Store, StoreUnavailable } from "../../../services/common/port/store.ts";

/** A store that answers nobody once its process is dead. */
export function mortal(store: Store, life: { readonly alive: boolean }): Store {
  const guard = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (of, name) => {
        const value: unknown = Reflect.get(of, name, of);
        if (typeof value === "function") {
          return (...given: unknown[]): unknown =>
            life.alive ? value.apply(of, given) : Promise.reject(new StoreUnavailable("its process is dead"));
        }
        return typeof value === "object" && value !== null ? guard(value) : value;
      },
    });
  return guard(store);
}
