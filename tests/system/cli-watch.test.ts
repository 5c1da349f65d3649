/** `jobmesh watch`, and the client's watch, as a user calls them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { command } from "../../services/client/targets.ts";
import { cliMesh } from "../support/cli-mesh.ts";

test("watch of one execution shows its states until it has ended, and exits as it ended", async (t) => {
  const { cli, client } = await cliMesh(t);
  const good = await client.submit({ target: command("true"), name: "good" });
  const shown = await cli("watch", good.executionId);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, new RegExp(`^SUCCEEDED +${good.executionId}  good\n$`, "m"));
  const bad = await client.submit({ target: command("exit 3") });
  const failed = await cli("watch", bad.executionId);
  assert.equal(failed.code, 1);
  assert.match(failed.stdout, new RegExp(`^FAILED +${bad.executionId}  -  .*3`, "m"));
});

test("watch shows what ends by its filters, over a mesh that is killed and comes back, and leaves nothing out", async (t) => {
  const { processes, mesh, dataDir, env, client } = await cliMesh(t);
  const all = processes.start(["watch"], { env });
  const failures = processes.start(["watch", "--state", "failed", "--namespace=-"], { env });
  for (const watched of [all, failures]) await watched.printed(/^jobmesh: watches/m, { stream: "stderr" });
  const first = await client.submit({ target: command("true") });
  await all.printed(new RegExp(first.executionId));
  await mesh.end("SIGKILL");
  const back = await processes.dev({ dataDir, listen: mesh.address });
  const again = processes.client(back.address);
  const ids = [];
  for (const line of ["true", "exit 1", "true"]) {
    const { executionId } = await again.submit({ target: command(line) });
    await again.waitUntilEnded(executionId);
    ids.push(executionId);
  }
  for (const id of ids) await all.printed(new RegExp(id));
  await failures.printed(/^FAILED/m);
  assert.match(failures.stdout, new RegExp(`^FAILED +${ids[1]}  -  .*\n$`));
});

test("the client's watch ends with its caller's signal", async (t) => {
  const { client } = await cliMesh(t);
  const caller = new AbortController();
  await client.submit({ target: command("true") });
  const seen: string[] = [];
  await assert.rejects(async () => {
    for await (const { execution } of client.watch({}, caller.signal)) {
      seen.push(execution?.executionId ?? "");
      caller.abort();
    }
  });
  assert.equal(seen.length, 1);
});

test("watch refuses what it does not know by name", async (t) => {
  const { cli } = await cliMesh(t);
  for (const [words, what] of [
    [["watch", "--state", "DONE"], /--state: must be one of SCHEDULED/],
    [["watch", "a", "b"], /watch takes one execution/],
    [["watch", "not-an-id"], /execution_id/],
  ] as const) {
    const { code, stderr } = await cli(...words);
    assert.notEqual(code, 0);
    assert.match(stderr, what);
  }
});
