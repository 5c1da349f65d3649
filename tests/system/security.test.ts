/** A mesh over mTLS and a token, without backends: who has both is served, and the token is printed nowhere. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ensureGrpcurl } from "../../scripts/tools.ts";
import { type MeshProcess, MeshProcesses } from "../support/mesh-process.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { secureParts } from "../support/secure-mesh.ts";

const WRONG_TOKEN = "a-token-that-nobody-gave-out";

/** Every byte that the processes have written to files of theirs. */
function written(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("");
}

function shown(...all: readonly { readonly stdout: string; readonly stderr: string }[]): string {
  return all.map(({ stdout, stderr }) => stdout + stderr).join("");
}

test("scheduler, executor and clients over mTLS and a token run a job, and show the token nowhere", async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver[Symbol.asyncDispose]());
  const processes = new MeshProcesses(t);
  const { env: secure, token, own, foreign, authority } = secureParts(t);
  const env = { ...secure, ...receiver.env };
  const [home, work] = [processes.folder(), processes.folder()];
  const listen = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--log-level", "debug"];
  const scheduler = processes.start(["scheduler", ...listen, "--data-dir", home], { env });
  const serves = await scheduler.printed(/"address":"([^"]+)".*"the scheduler serves"/, { stream: "stderr" });
  const reach = { JOBMESH_SCHEDULER: serves[1] ?? "" };
  const work_ = ["executor", "--allow-commands", "--data-dir", work, "--log-level", "debug"];
  // By the environment: a command is not told what its executor has there.
  const byEnvironment = { JOBMESH_TOKEN: token, JOBMESH_TOKEN_FILE: undefined };
  const executor = processes.start(work_, { env: { ...env, ...reach, ...byEnvironment } });
  await executor.printed(/"a home took the executor"/, { stream: "stderr" });

  const ran = await processes.run(["run", "--", "env; echo done"], { env: { ...env, ...reach } });
  assert.deepEqual([ran.code, /^done$/m.test(ran.stdout)], [0, true], shown(ran));
  const status = await processes.run(["status"], { env: { ...env, ...reach } });
  assert.equal(status.code, 0, shown(status));

  const refused = async (wrong: Record<string, string | undefined>, pattern: RegExp) => {
    const outcome = await processes.run(["status", "--log-level", "debug"], { env: { ...env, ...reach, ...wrong } });
    assert.equal(outcome.code, 1, shown(outcome));
    assert.match(outcome.stderr, pattern);
    assert.equal(outcome.stdout, "");
    return outcome;
  };
  const clear = { JOBMESH_TLS_CERT: undefined, JOBMESH_TLS_KEY: undefined, JOBMESH_TLS_CLIENT_CERTS: undefined };
  const outcomes = [
    await refused({ JOBMESH_TOKEN_FILE: undefined }, /refuses the call: it needs its token in JOBMESH_TOKEN_FILE/),
    await refused({ JOBMESH_TOKEN_FILE: authority.write("wrong", WRONG_TOKEN) }, /refuses the call/),
    await refused(clear, /no scheduler answers at .*TLS/),
    await refused({ ...clear, JOBMESH_TLS_CA: undefined }, /no scheduler answers at/),
    await refused({ JOBMESH_TLS_CERT: foreign.certPath, JOBMESH_TLS_KEY: foreign.keyPath }, /no scheduler answers at/),
    await refused({ JOBMESH_TLS_CA: "system" }, /no scheduler answers at .*TLS.*certificate/),
    await refused({ JOBMESH_TLS_SERVER_NAME: "elsewhere" }, /no scheduler answers at .*TLS.*elsewhere/),
    await refused({ JOBMESH_TOKEN: token }, /JOBMESH_TOKEN_FILE .*must not be set together with JOBMESH_TOKEN/),
  ];
  const grpcurl = await callByGrpcurl(processes, reach.JOBMESH_SCHEDULER, { authority, own, token });

  for (const one of [executor, scheduler]) assert.deepEqual(await one.end("SIGTERM"), { code: 0, signal: null });
  assert.ok(receiver.spans.some(({ name }) => name === "jobmesh.rpc.server"));
  const everything = [shown(scheduler, executor, ran, status, ...outcomes, ...grpcurl), JSON.stringify(receiver.spans)];
  everything.push(written(home), written(work));
  const [, keyLine = assert.fail()] = own.key.split("\n");
  for (const text of everything) for (const secret of [token, WRONG_TOKEN, keyLine]) assert.ok(!text.includes(secret));
});

/** The real grpcurl: reflection and calls with the token, nothing but health without it. */
async function callByGrpcurl(
  processes: MeshProcesses,
  address: string,
  { authority, own, token }: Pick<ReturnType<typeof secureParts>, "authority" | "own" | "token">,
): Promise<readonly MeshProcess[]> {
  const tls = ["-cacert", authority.caPath, "-cert", own.certPath, "-key", own.keyPath];
  const program = [await ensureGrpcurl(), ...tls];
  const call = async (code: number, ...args: readonly string[]): Promise<MeshProcess> => {
    const called = processes.start(args, { program });
    assert.equal((await called.ended).code, code, `${args.join(" ")}: ${shown(called)}`);
    return called;
  };
  const authorized = ["-H", `authorization: Bearer ${token}`];
  const proto = ["-import-path", join(import.meta.dirname, "../../proto"), "-proto", "grpc/health/v1/health.proto"];
  return [
    await call(0, ...authorized, address, "list"),
    await call(0, ...authorized, address, "jobmesh.v1.JobService/ListJobs"),
    await call(1, address, "list"),
    await call(0, ...proto, address, "grpc.health.v1.Health/Check"),
  ];
}

test("an executor with another token is not taken, says why, and is taken once the mesh accepts it", async (t) => {
  const processes = new MeshProcesses(t);
  const { env, authority, token } = secureParts(t);
  const listen = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
  const dataDir = processes.folder();
  const first = processes.start(["scheduler", ...listen, "--data-dir", dataDir], { env });
  const [, address = ""] = await first.printed(/"address":"([^"]+)".*"the scheduler serves"/, { stream: "stderr" });
  const newer = authority.write("newer", `${WRONG_TOKEN}\n`);
  const executor = processes.start(["executor", "--data-dir", processes.folder()], {
    env: { ...env, JOBMESH_SCHEDULER: address, JOBMESH_TOKEN_FILE: newer },
  });
  const said = await executor.printed(/^.*"no home is found; still trying".*$/m, { stream: "stderr" });
  assert.match(said[0], /"reason":"UNAUTHENTICATED"/);

  await first.end("SIGTERM");
  const both = authority.write("both", `${token}\n${WRONG_TOKEN}\n`);
  processes.start(["scheduler", "--listen", address, "--http-listen", "127.0.0.1:0", "--data-dir", dataDir], {
    env: { ...env, JOBMESH_TOKEN_FILE: both },
  });
  await executor.printed(/"a home took the executor"/, { stream: "stderr" });
});

test("the embedded mesh with TLS and a token makes its examples, and says how it is called", async (t) => {
  const processes = new MeshProcesses(t);
  const { env } = secureParts(t);
  const mesh = await processes.dev({ dataDir: processes.folder(), env });
  await mesh.printed(/SUCCEEDED example-hello/);
  assert.match(mesh.stdout, /^ {2}metrics +https:/m);
  assert.match(
    mesh.stdout,
    /^ {2}grpcurl -cacert CA\.pem -cert CERT\.pem -key KEY\.pem -H 'authorization: Bearer TOKEN' \S+ jobmesh/m,
  );
  const { JOBMESH_TLS_CLIENT_CERTS: _, ...client } = env;
  const ran = await processes.run(["run", "--scheduler", mesh.address, "--", "echo hello"], { env: client });
  assert.deepEqual([ran.code, ran.stdout], [0, "hello\n"], ran.stderr);
  assert.doesNotMatch(ran.stderr, /Warning/);
});
