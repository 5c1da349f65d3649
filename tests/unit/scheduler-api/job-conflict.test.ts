import assert from "node:assert/strict";
import { test } from "node:test";
import { errorOf, testApi } from "./setup.ts";

test("an update that others come before is tried five times, and then is CONFLICT", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  const others = { left: 0, count: 0 };
  const get = api.store.jobs.get.bind(api.store.jobs);
  t.mock.method(api.store.jobs, "get", async (...name: Parameters<typeof get>) => {
    const job = await get(...name);
    if (job === null || others.left === 0) return job;
    others.left -= 1;
    others.count += 1;
    // Somebody else changes it between its read and its write.
    await api.store.jobs.update({ ...job, description: `other ${others.count}` }, null, null, false);
    return job;
  });
  others.left = 4;
  assert.equal((await api.updateJob({ jobId: "j", name: "fifth" }, ["name"])).name, "fifth");
  others.left = 5;
  const error = await errorOf(api.updateJob({ jobId: "j", name: "sixth" }, ["name"]));
  assert.deepEqual([error.reason, error.message], ["CONFLICT", "job j changes all the time"]);
  assert.equal((await api.getJob("j"))?.name, "fifth");
});

test("an update of a paused job that is resumed meanwhile leaves it its next fire", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j", schedule: { when: { $case: "cron", value: "0 * * * *" } } });
  const created = await api.store.jobs.get("default", "j");
  await api.store.jobs.pause("default", "j", "");
  const get = api.store.jobs.get.bind(api.store.jobs);
  t.mock.method(api.store.jobs, "get", async (...name: Parameters<typeof get>) => {
    const job = await get(...name);
    if (job?.paused) await api.store.jobs.resume("default", "j", job.revision, created?.nextFireUs ?? null);
    return job;
  });
  await api.updateJob({ jobId: "j", name: "renamed" }, ["name"]);
  const job = await get("default", "j");
  assert.deepEqual([job?.name, job?.paused, job?.nextFireUs], ["renamed", false, created?.nextFireUs]);
  assert.notEqual(job?.nextFireUs ?? null, null);
});
