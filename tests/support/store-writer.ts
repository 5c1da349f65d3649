/** A process that holds a store: it creates jobs until it is killed, and says each job_id once the job is stored. */
import { randomUUID } from "node:crypto";
import { openStore } from "../../services/common/adapter/open-store.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { newJob } from "./store-records.ts";

const store = openStore(process.argv[2] ?? "", { clock: new SystemClock(), random: new SystemRandom() });
await store.start();
// Nothing outlives the test: its end of this pipe closes with it.
process.stdin.resume().once("end", () => process.exit(0));
for (;;) {
  const job = newJob({ namespace: "writer", jobId: randomUUID(), jobUid: randomUUID() as JobUid });
  await store.jobs.create(job, null);
  process.stdout.write(`${job.jobId}\n`);
  await new Promise((resolve) => setImmediate(resolve));
}
