/** WatchExecutions: rule 34 as a caller sees it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionState, ExecutionView, StateReason } from "../../../gen/jobmesh/v1/execution.ts";
import { command } from "../../../services/client/targets.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { placeAt, placeOfToken, resumeToken } from "../../../services/scheduler/feed/resume-token.ts";
import { errorOf, faultsOf, testApi } from "./setup.ts";
import { cancel, endElsewhere, passUntil, turn, watch } from "./watching.ts";

const { EXECUTION_STATE_READY: READY, EXECUTION_STATE_DISPATCHED: DISPATCHED } = ExecutionState;
const { EXECUTION_STATE_CANCELLED: CANCELLED } = ExecutionState;
const { STATE_REASON_NO_MATCHING_EXECUTOR: NO_MATCHING_EXECUTOR } = StateReason;
const UNKNOWN_ID = "00000000-0000-8000-8000-000000000000";

test("a watch is told ends here and elsewhere, with tokens, and what ended before it began is not", async (t) => {
  const api = await testApi(t);
  await cancel(api, await api.submit());
  const watched = await watch(api);
  const [one, two] = [await api.submit(), await api.submit()];
  await cancel(api, one);
  await passUntil(api, watched, 1);
  await endElsewhere(api, two);
  await passUntil(api, watched, 2);
  assert.deepEqual(watched.ids(), [one.executionId, two.executionId]);
  assert.deepEqual(watched.states(), [CANCELLED, CANCELLED]);
  for (const { resumeToken: token } of watched.answers) assert.ok(placeOfToken(token) !== null);
  await watched.leave();
});

test("rule 34: a watch from a token is told every end since then, and goes on", async (t) => {
  const api = await testApi(t);
  const first = await watch(api);
  const ends = [await api.submit(), await api.submit(), await api.submit(), await api.submit()];
  const [one, two, three, four] = ends;
  assert.ok(one && two && three && four);
  await cancel(api, one);
  await passUntil(api, first, 1);
  await first.leave();
  await api.clock.advance(1);
  await cancel(api, two);
  await api.clock.advance(60_000);
  await cancel(api, three);
  const { resumeToken: token = "" } = first.answers[0] ?? {};
  const again = await watch(api, { resumeToken: token });
  await passUntil(api, again, 3);
  await cancel(api, four);
  await passUntil(api, again, 4);
  assert.deepEqual(
    again.ids(),
    [one, two, three, four].map(({ executionId }) => executionId),
  );
  await again.leave();
  for (const [at, { resumeToken: later }] of again.answers.entries()) {
    const from = await watch(api, { resumeToken: later });
    const left = again.ids().slice(at + 1);
    while (!left.every((id) => from.ids().includes(id))) await turn();
    await from.leave();
  }
});

test("list, then watch from the list's token: nothing that ended between, or between its pages, is left out", async (t) => {
  const api = await testApi(t);
  const all = [await api.submit(), await api.submit(), await api.submit()];
  const first = await api.list({ pageSize: 2 });
  const [shown] = first.executions;
  assert.ok(shown !== undefined);
  await cancel(api, shown);
  await api.clock.advance(300_000);
  const second = await api.list({ pageSize: 2, pageToken: first.nextPageToken });
  assert.equal(first.executions.length + second.executions.length, all.length);
  assert.equal(second.resumeToken, first.resumeToken, "a later page goes on from the first one's time");
  const watched = await watch(api, { resumeToken: second.resumeToken });
  await passUntil(api, watched, 1);
  assert.deepEqual(watched.ids(), [shown.executionId]);
  await watched.leave();
});

test("a token whose ends are deleted is OUT_OF_RANGE; one from after them is not", async (t) => {
  const api = await testApi(t);
  const start = await api.list();
  await api.clock.advance(60_000);
  await cancel(api, await api.submit());
  await api.clock.advance(60_000);
  const late = await api.list();
  await api.store.retention.deleteEnded(api.nowUs() - 30_000_000, null, 250);
  const watched = await watch(api, { resumeToken: start.resumeToken });
  const error = await errorOf(watched.over);
  assert.deepEqual([error.code, error.reason], ["OUT_OF_RANGE", "RESUME_TOKEN_EXPIRED"]);
  const good = await watch(api, { resumeToken: late.resumeToken });
  const last = await api.submit();
  await cancel(api, last);
  await passUntil(api, good, 1);
  await good.leave();
});

test("retention in the middle of a catch-up is OUT_OF_RANGE, and no end is left out", async (t) => {
  const api = await testApi(t);
  const start = await api.list();
  await api.clock.advance(60_000);
  await cancel(api, await api.submit());
  await api.clock.advance(120_000);
  const { feed } = api.store;
  const read = feed.read.bind(feed);
  feed.read = async (ids, full) => {
    await api.store.retention.deleteEnded(api.nowUs() - 60_000_000, null, 250);
    return await read(ids, full);
  };
  const watched = await watch(api, { resumeToken: start.resumeToken });
  const error = await errorOf(watched.over);
  assert.deepEqual([error.code, error.reason], ["OUT_OF_RANGE", "RESUME_TOKEN_EXPIRED"]);
});

test("a token from after the store's clock is OUT_OF_RANGE: the store has gone back", async (t) => {
  const api = await testApi(t);
  const watched = await watch(api, { resumeToken: resumeToken(placeAt(api.nowUs() + 1)) });
  assert.equal((await errorOf(watched.over)).reason, "RESUME_TOKEN_EXPIRED");
});

test("a filter takes what it names, of the states in between too", async (t) => {
  const api = await testApi(t);
  const watched = await watch(api, { filter: { labels: { team: "blue" }, states: [CANCELLED] } });
  const all = await watch(api);
  const [blue, red] = [await api.submit({ labels: { team: "blue" } }), await api.submit({ labels: { team: "red" } })];
  api.hints.tell({ kind: "moved", executionIds: [blue.executionId as ExecutionId] });
  await passUntil(api, all, 1);
  await cancel(api, blue);
  await cancel(api, red);
  await passUntil(api, all, 3);
  await passUntil(api, watched, 1);
  assert.deepEqual(watched.ids(), [blue.executionId]);
  assert.deepEqual(all.states(), [READY, CANCELLED, CANCELLED]);
  await watched.leave();
  await all.leave();
});

test("the FULL view has the target, the BASIC one has not", async (t) => {
  const api = await testApi(t);
  const [basic, full] = [await watch(api), await watch(api, { view: ExecutionView.EXECUTION_VIEW_FULL })];
  await cancel(api, await api.submit({ target: command("echo", { args: ["one"] }) }));
  await passUntil(api, basic, 1);
  await passUntil(api, full, 1);
  const argsOf = ({ answers: [answer] }: typeof basic) => {
    const kind = answer?.execution?.target?.kind;
    return kind?.$case === "command" ? kind.value.args : null;
  };
  assert.deepEqual([argsOf(basic), argsOf(full)], [[], ["one"]]);
  await basic.leave();
  await full.leave();
});

test("a watch of one execution sends its present state first, those after it, and ends after the final one", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const execution = await api.submit();
  const watched = await watch(api, { executionId: execution.executionId });
  await watched.told(1);
  assert.deepEqual(watched.states(), [READY]);
  await api.join("executor-1", 1);
  await api.dispatcher.runOnce(new AbortController().signal);
  await passUntil(api, watched, 2);
  assert.deepEqual(watched.states(), [READY, DISPATCHED]);
  assert.equal(api.feed.isReading, false, "one execution needs no feed");
  await endElsewhere(api, execution);
  await watched.leave();
  const after = await api.submit({ namespace: "other" });
  const other = await watch(api, { executionId: after.executionId });
  await cancel(api, after);
  await other.over;
  assert.deepEqual(other.states().at(-1), CANCELLED);
  const again = await watch(api, { executionId: after.executionId, resumeToken: other.answers[0]?.resumeToken ?? "" });
  await again.over;
  assert.deepEqual(again.states(), [CANCELLED], "what has ended is told, and the stream ends");
  const unmatched = await watch(api, { executionId: after.executionId, filter: { namespace: "default" } });
  await unmatched.over;
  assert.deepEqual(unmatched.answers, []);
});

test("bad requests are refused with every fault, and an unknown execution is NOT_FOUND", async (t) => {
  const api = await testApi(t);
  const request = { executionId: "x", resumeToken: "x", view: 9 as ExecutionView, filter: { namespace: "a b" } };
  const faults = await faultsOf((await watch(api, request)).over);
  assert.deepEqual(Object.keys(faults).sort(), ["execution_id", "filter.namespace", "resume_token", "view"]);
  const missing = await watch(api, { executionId: UNKNOWN_ID });
  assert.equal((await errorOf(missing.over)).reason, "EXECUTION_NOT_FOUND");
});

test("one watcher more than may is refused with RESOURCE_EXHAUSTED and a retry delay; room comes back", async (t) => {
  const api = await testApi(t, { feed: { maxWatchers: 2 } });
  const two = [await watch(api), await watch(api)];
  const error = await errorOf((await watch(api)).over);
  assert.deepEqual([error.code, error.reason, error.retryDelayMs], ["RESOURCE_EXHAUSTED", "OVERLOADED", 1_000]);
  for (const watched of two) await watched.leave();
  await (await watch(api)).leave();
});

test("the store is read for all watchers once, and no more when the last has gone", async (t) => {
  const api = await testApi(t);
  assert.equal(api.feed.isReading, false);
  const looks = { count: 0 };
  api.base.before.statement = (name, sql) => {
    if (name === "feed.ended" && sql.startsWith("SELECT ended_us, execution_id")) looks.count += 1;
  };
  const watchers = [await watch(api), await watch(api), await watch(api)];
  await api.clock.advance(1_000);
  const before = looks.count;
  await api.clock.advance(1_000);
  assert.equal(looks.count - before, 4);
  for (const watched of watchers) await watched.leave();
  assert.equal(api.feed.isReading, false);
});

test("why what is ready waits is asked once for all watchers, whether it is theirs or not", async (t) => {
  const api = await testApi(t);
  const asked = { count: 0 };
  api.base.before.statement = (_name, sql) => {
    if (/FROM executors\b/.test(sql)) asked.count += 1;
  };
  const others = [
    await watch(api, { filter: { namespace: "other" } }),
    await watch(api, { filter: { namespace: "x" } }),
  ];
  const watchers = [await watch(api), await watch(api, { view: ExecutionView.EXECUTION_VIEW_FULL })];
  const { executionId } = await api.submit();
  const before = asked.count;
  api.hints.tell({ kind: "moved", executionIds: [executionId as ExecutionId] });
  for (const watched of watchers) await passUntil(api, watched, 1);
  assert.equal(asked.count - before, 1);
  for (const { answers } of watchers) assert.equal(answers[0]?.execution?.stateReason, NO_MATCHING_EXECUTOR);
  for (const watched of [...watchers, ...others]) await watched.leave();
});

test("a watcher that is too slow for what is held goes on from the store: nothing is left out", async (t) => {
  const api = await testApi(t, { feed: { maxChanges: 2 } });
  const watched = await watch(api);
  const ids: string[] = [];
  for (let count = 0; count < 12; count += 1) {
    const execution = await api.submit();
    ids.push(execution.executionId);
    await endElsewhere(api, execution);
  }
  await api.clock.advance(250);
  for (let turns = 0; turns < 2_000 && !ids.every((id) => watched.ids().includes(id)); turns += 1) await turn();
  assert.deepEqual([...new Set(watched.ids())].toSorted(), ids.toSorted());
  await watched.leave();
});

test("a server that stops ends its watches as UNAVAILABLE, so that they go on elsewhere", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const { executionId } = await api.submit();
  const watches = [await watch(api), await watch(api, { executionId })];
  const stopping = api.server.stop(1_000);
  for (const { over } of watches) assert.equal((await errorOf(over)).reason, "SHUTTING_DOWN");
  await stopping;
});
