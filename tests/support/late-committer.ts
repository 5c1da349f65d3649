/**
 * A process of its own that ends an execution and stops itself, as SIGSTOP
 * does, before it commits: `node late-committer.ts URL EXECUTION_ID`. It says
 * "at commit" then, and what became of its call once it goes on.
 */
import { openStore } from "../../services/common/adapter/open-store.ts";
import type { ExecutionId } from "../../services/common/domain/identifier.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";

const [url = "", executionId = ""] = process.argv.slice(2);
const store = openStore(url, {
  clock: new SystemClock(),
  random: new SystemRandom(),
  onStatement: (name, sql) => {
    if (name !== "request_stop" || sql !== "COMMIT") return;
    process.stdout.write("at commit\n");
    process.kill(process.pid, "SIGSTOP");
  },
});
await store.start();
const became = await store.executions.requestStop(executionId as ExecutionId, "CANCEL", "late").then(
  ({ kind }) => kind,
  (error: unknown) => (error instanceof Error ? error.constructor.name : String(error)),
);
process.stdout.write(`became ${became}\n`);
await store.stop();
