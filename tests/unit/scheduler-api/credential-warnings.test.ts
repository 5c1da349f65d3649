/** What the scheduler's log says of credentials in targets, and when it says nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { type LogFields, type Logger, silentLogger } from "../../../services/common/runtime/log.ts";
import type { SubmissionInput } from "./calls.ts";
import { faultsOf, testApi } from "./setup.ts";

/** A log that keeps its warnings. */
function warnings(): { log: Logger; lines: (LogFields & { message: string })[] } {
  const lines: (LogFields & { message: string })[] = [];
  const log: Logger = { ...silentLogger, warn: (fields, message) => void lines.push({ ...fields, message }) };
  return { log, lines };
}

function headers(entries: Readonly<Record<string, string>>): SubmissionInput {
  return { target: { kind: { $case: "http", value: { url: "http://127.0.0.1/", headers: entries } } } };
}

function metadata(entries: Readonly<Record<string, string>>): SubmissionInput {
  const call = { address: "etcd:///billing", method: "acme.billing.v1.BillingService/Charge", metadata: entries };
  return { target: { kind: { $case: "grpc", value: call } } };
}

test("a header that is a credential is taken, and said once in the scheduler's log without its value", async (t) => {
  const { log, lines } = warnings();
  const api = await testApi(t, { log });
  const message = "an HTTP target holds a credential in so many words";
  const literal = headers({ authorization: "Bearer swordfish", "X-Team": "data" });
  for (let count = 0; count < 3; count++) await api.submit(literal);
  const here = { namespace: "default", jobId: "", host: "127.0.0.1", header: "authorization", message };
  assert.deepEqual(lines, [here]);
  await api.createJob({ jobId: "nightly", target: literal.target });
  assert.deepEqual(lines.at(-1), { ...here, jobId: "nightly" });
  await api.submit({ ...headers({ "Proxy-Authorization": "Basic swordfish" }), namespace: "other" });
  assert.deepEqual(lines.at(-1), { ...here, namespace: "other", header: "Proxy-Authorization" });
  assert.equal(lines.length, 3);
  await api.submit(headers({ "X-Team": "data" }));
  await faultsOf(api.submit(headers({ authorization: "a\nb" })));
  assert.equal(lines.length, 3, "what holds none, and what is refused, is no line");
  assert.doesNotMatch(JSON.stringify(lines), /swordfish/);
});

test("metadata that is a credential is taken, and said once in the scheduler's log without its value", async (t) => {
  const { log, lines } = warnings();
  const api = await testApi(t, { log });
  const message = "a gRPC target holds a credential in so many words";
  const literal = metadata({ authorization: "Bearer swordfish", "x-team": "data" });
  for (let count = 0; count < 3; count++) await api.submit(literal);
  const here = { namespace: "default", jobId: "", address: "etcd:///billing", key: "authorization", message };
  assert.deepEqual(lines, [here]);
  await api.createJob({ jobId: "nightly", target: literal.target });
  assert.deepEqual(lines.at(-1), { ...here, jobId: "nightly" });
  await api.submit({ ...metadata({ "proxy-authorization": "Basic swordfish" }), namespace: "other" });
  assert.deepEqual(lines.at(-1), { ...here, namespace: "other", key: "proxy-authorization" });
  assert.equal(lines.length, 3);
  await api.submit(metadata({ "x-team": "data" }));
  await faultsOf(api.submit(metadata({ authorization: "a\nb" })));
  assert.equal(lines.length, 3, "what holds none, and what is refused, is no line");
  assert.doesNotMatch(JSON.stringify(lines), /swordfish/);
});

test("a job that is only checked is no line: the one that stores it is told", async (t) => {
  const { log, lines } = warnings();
  const api = await testApi(t, { log });
  for (const { target } of [headers({ authorization: "x" }), metadata({ authorization: "x" })]) {
    const job = { jobId: "nightly", target };
    await api.client.jobs.createJob(CreateJobRequest.fromPartial({ job, validateOnly: true }));
    await api.updateJob(job, [], { allowMissing: true, validateOnly: true });
  }
  assert.deepEqual(lines, []);
  const { target } = metadata({ authorization: "x" });
  await api.createJob({ jobId: "nightly" });
  await api.updateJob({ jobId: "nightly", target }, ["target"], { validateOnly: true });
  assert.deepEqual(lines, []);
  await api.updateJob({ jobId: "nightly", target }, ["target"]);
  assert.equal(lines.length, 1);
});

test("a credential in a URL's query is said once without its value; one that names a secret is no line", async (t) => {
  const { log, lines } = warnings();
  const api = await testApi(t, { log });
  const secret = ["$", "{secret:A}"].join("");
  await api.submit(headers({ authorization: `Bearer ${secret}` }));
  await api.submit(metadata({ authorization: secret }));
  assert.deepEqual(lines, []);
  const target = (url: string): SubmissionInput => ({ target: { kind: { $case: "http", value: { url } } } });
  for (let count = 0; count < 2; count++) await api.submit(target("http://127.0.0.1/?api_key=swordfish&page=2"));
  const message = "an HTTP target holds a credential in its URL";
  const here = { namespace: "default", jobId: "", host: "127.0.0.1", parameter: "api_key", message };
  assert.deepEqual(lines, [here]);
  const known = { labels: { region: "eu" }, parameters: { key: "swordfish" } };
  await api.submit({ ...target("http://{{labels.region}}.test/?token={{parameters.key}}"), ...known });
  assert.deepEqual(lines.at(-1), { ...here, host: "{{labels.region}}.test", parameter: "token" });
  assert.doesNotMatch(JSON.stringify(lines), /swordfish/);
});
