/** The judges of pins (rule 32), at every commit: what is pinned runs there, and each executor has its turn. */
import type { ExecutorProfile } from "../../services/common/domain/executor.ts";
import { matchesRoute } from "../../services/common/domain/executor.ts";
import { parseRoute, type Route, routeText, TO_BE_PINNED, withoutPin } from "../../services/common/domain/route.ts";
import type { RowChange } from "./row-changes.ts";
import type { SimStore } from "./store.ts";
import { promise } from "./verdict.ts";

/** The latest turn of a route, and who could have had it. */
type Turn = { readonly executorId: string; readonly among: string };

/** PinCheckers watch a run. */
export class PinCheckers {
  readonly #store: SimStore;
  readonly #turns = new Map<string, Turn>();

  constructor(store: SimStore) {
    this.#store = store;
  }

  /** A transaction has committed. */
  committed(name: string, changes: readonly RowChange[]): void {
    const executions = changes.filter(({ table }) => table === "executions");
    for (const change of executions) this.#claimed(change);
    if (name === "pin") this.#pinned(executions);
  }

  /** What is pinned runs on its pin, and what has none is not claimed. */
  #claimed({ before, after }: RowChange): void {
    if (after === null || Number(after.attempt) <= Number(before?.attempt ?? 0)) return;
    const route = this.#routeOf(before?.claim_route ?? null);
    const isInTurn = String(after.policy).includes("ROUND_ROBIN");
    const pin = route?.pin ?? (isInTurn ? TO_BE_PINNED : null);
    promise(
      "what is pinned runs on its pin",
      isInTurn ? pin === after.executor_id : pin === null,
      () => `${after.execution_id} is pinned to ${JSON.stringify(pin)} and claimed for ${after.executor_id}`,
    );
  }

  /** The one after goes to another, where the same ones could have it. */
  #pinned(executions: readonly RowChange[]): void {
    for (const { after } of executions) {
      const route = this.#routeOf(after?.claim_route ?? null);
      if (route === null || route.pin === null || route.pin === TO_BE_PINNED) continue;
      const choices = this.#choices(withoutPin(route));
      promise(
        "a pin is of one that runs it",
        choices.includes(route.pin),
        () => `${after?.execution_id} is pinned to ${route.pin}; ${choices.join(" and ")} could run it`,
      );
      const key = routeText(withoutPin(route));
      const among = choices.join();
      const last = this.#turns.get(key);
      promise(
        "each executor has its turn",
        last === undefined || last.among !== among || choices.length < 2 || last.executorId !== route.pin,
        () => `${route.pin} has two turns in a row among ${among}`,
      );
      this.#turns.set(key, { executorId: route.pin, among });
    }
  }

  #choices(route: Route): string[] {
    return this.#store
      .rows(
        `SELECT executor_id, profile FROM executors WHERE lost_us IS NULL AND left_us IS NULL AND draining = 0
          AND drain_us IS NULL ORDER BY executor_id`,
      )
      .filter((row) => matchesRoute(JSON.parse(String(row.profile)) as ExecutorProfile, route))
      .map((row) => String(row.executor_id));
  }

  #routeOf(routeId: string | number | null): Route | null {
    if (routeId === null) return null;
    const [row] = this.#store.rows("SELECT text FROM routes WHERE route_id = CAST(? AS INTEGER)", String(routeId));
    return row === undefined ? null : parseRoute(String(row.text));
  }
}
