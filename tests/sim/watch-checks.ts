/** What a watcher was told, as the judges see it (rule 34). */
import { isFinal } from "../../services/common/domain/execution.ts";
import type { RestingMesh } from "./last-checks.ts";
import { promise } from "./verdict.ts";
import type { Watcher } from "./watcher.ts";

/** Executions that have ended and whose end a watcher has not been told. */
export function untold({ checkers }: RestingMesh, watcher: Watcher | null): string[] {
  if (watcher === null) return [];
  return [...checkers.seen].flatMap(([id, { state }]) =>
    isFinal(state) && watcher.told.get(id)?.includes(state) !== true ? [id] : [],
  );
}

/** Every final state was told at least once, and no other one as final. */
export function checkWatched(mesh: RestingMesh, watcher: Watcher | null): void {
  if (watcher === null) return;
  const left = untold(mesh, watcher);
  promise("every final state is told to a watcher", left.length === 0, () => {
    const shown = left.slice(0, 3).map((id) => `${id} is ${mesh.checkers.seen.get(id)?.state}`);
    return `${left.length} were not told: ${shown.join(", ")}`;
  });
  for (const [id, states] of watcher.told) {
    const state = mesh.checkers.seen.get(id)?.state;
    const wrong = states.find((told) => told !== state && isFinal(told));
    promise("a watcher is told what stands", wrong === undefined, () => `${id} is ${state}, and was told ${wrong}`);
  }
  promise("a watcher's token is good", watcher.refusals.length === 0, () => watcher.refusals.join("; "));
}
