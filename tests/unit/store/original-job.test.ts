/** What a row of the original's jobs becomes; its SQL is tried in tests/integration/adopt-original.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { jobColumns } from "../../../services/common/adapter/sql/job-row.ts";
import { adoptedJob, type OriginalJob } from "../../../services/common/adapter/sql/migration/original-job.ts";

const NOW_US = Date.UTC(2030, 0, 1, 12) * 1_000;

function original(parts: Partial<OriginalJob> = {}): OriginalJob {
  return {
    jobId: "nightly",
    name: "Nightly",
    command: "echo hello",
    type: 1,
    priority: 0,
    cron: "0 3 * * *",
    timeout: 0,
    retryCount: 0,
    retryInterval: 0,
    createUs: NOW_US - 1_000_000,
    updateUs: null,
    hasRun: false,
    lastStartUs: null,
    ...parts,
  };
}

const adopted = (parts: Partial<OriginalJob> = {}, timeZone = "UTC") => adoptedJob(original(parts), timeZone, NOW_US);

test("a command line of any length is the target's, byte for byte", () => {
  for (const length of [0, 1, 125, 126, 127, 128, 129, 16_383, 16_384, 65_535]) {
    for (const command of ["x".repeat(length), "ü".repeat(length / 2)]) {
      const { kind } = Target.decode(adopted({ command }).target.bytes);
      assert.ok(kind?.$case === "command");
      assert.equal(kind.value.command, command);
      assert.deepEqual(kind.value.args, []);
    }
  }
});

test("an adoption that is begun again makes the same job, and another job another uid", () => {
  const again = adoptedJob(original(), "UTC", NOW_US + 60_000_000);
  assert.equal(again.jobUid, adopted().jobUid);
  assert.match(again.jobUid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(adopted({ jobId: "other" }).jobUid, again.jobUid);
  assert.equal(adopted({ createUs: null }).jobUid, adoptedJob(original({ createUs: null }), "UTC", 1).jobUid);
});

/** Expressions, and whether they go on firing as they did; a pattern of the reason where they do not. */
const EXPRESSIONS: readonly (readonly [cron: string, paused: RegExp | null])[] = [
  ["*/5 * * * *", null],
  ["0,30 8-18 * 1-6 1-5", null],
  ["0 0 */2 * 1", null],
  ["0 0 1 * *", null],
  ["30 0 0 1 * *", null],
  ["0 0 1 * 1", /^adopted: the original fired on days that are both; here a day of month or of week is enough/],
  ["0 0 1 * 0-7", /^adopted: the original fired on the days of the month alone; /],
  ["* * * *", /^adopted: cron_expression: "\* \* \* \*", position 7: 4 of at least 5 fields/],
  ["61 * * * *", /^adopted: cron_expression: "61 .* in the minute field/],
  ["0 0 31 2 *", /^adopted: .*would never fire/],
  ["", /^adopted: a periodic job without a cron_expression$/],
];

for (const [cron, paused] of EXPRESSIONS) {
  test(`a cron_expression of the original, ${JSON.stringify(cron)}, ${paused === null ? "fires" : "is paused with its reason"}`, () => {
    const job = adopted({ cron });
    assert.equal(job.paused, paused !== null);
    assert.match(job.pauseReason, paused ?? /^$/);
    assert.equal(job.nextFireUs !== null, paused === null);
    assert.equal(jobColumns(job).cron_expression, cron === "" ? null : cron);
  });
}

test("an expression is read in the zone that was named", () => {
  const hourOf = (timeZone: string) => new Date((adopted({}, timeZone).nextFireUs ?? 0) / 1_000).toISOString();
  assert.equal(hourOf("UTC"), "2030-01-02T03:00:00.000Z");
  assert.equal(hourOf("Asia/Shanghai"), "2030-01-01T19:00:00.000Z");
});

test("what never ran is not too late at a start years after, and what ran has no schedule", () => {
  const fresh = adopted({ type: 0, cron: "" });
  assert.equal(fresh.nextFireUs, NOW_US);
  assert.ok((fresh.schedule?.catchupWindowMs ?? 0) >= 10 * 365 * 86_400_000);
  const done = adopted({ type: 0, cron: "", hasRun: true, lastStartUs: NOW_US });
  assert.deepEqual([done.schedule, done.nextFireUs, done.paused], [null, null, false]);
});
