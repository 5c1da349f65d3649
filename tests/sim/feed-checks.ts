/** The judges of what was told of the feed, by whichever reader (rule 34). */
import type { RestingMesh } from "./last-checks.ts";
import { checkWritten, unwritten } from "./topic-checks.ts";
import { checkWatched, untold } from "./watch-checks.ts";
import type { Watcher } from "./watcher.ts";

/** Executions that have ended and whose end some reader has not passed on. */
export function unheard(mesh: RestingMesh, watcher: Watcher | null): string[] {
  return [...untold(mesh, watcher), ...unwritten(mesh)];
}

/** Every final state was passed on at least once, and no other one as final. */
export function checkFollowed(mesh: RestingMesh, watcher: Watcher | null): void {
  checkWatched(mesh, watcher);
  checkWritten(mesh);
}
