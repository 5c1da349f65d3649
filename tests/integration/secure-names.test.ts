/** Names in etcd over mTLS: executors, clients and the schedulers themselves find each other and are verified. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectMesh } from "../../services/client/connect-mesh.ts";
import { command } from "../../services/client/targets.ts";
import { startBackends, testCluster } from "../support/backends.ts";
import type { Certificate } from "../support/certificates.ts";
import { type MeshProcess, MeshProcesses } from "../support/mesh-process.ts";
import { type SecureParts, secureParts } from "../support/secure-mesh.ts";

/** A name that is no host: the certificate of every scheduler carries it. */
const SERVICE = "mesh.example";

async function setup(t: Parameters<typeof secureParts>[0] & ConstructorParameters<typeof MeshProcesses>[0]) {
  const processes = new MeshProcesses(t);
  const backends = await startBackends({ etcd: true, kafka: false, mysql: false });
  t.after(() => void backends.stop());
  const secure = secureParts(t);
  const certificate = secure.authority.issue({ names: [`DNS:${SERVICE}`] });
  const env = {
    ...secure.env,
    ...filesOf(certificate),
    JOBMESH_TLS_SERVER_NAME: SERVICE,
    JOBMESH_ETCD_ENDPOINTS: backends.etcdEndpoints.join(","),
    JOBMESH_CLUSTER: testCluster(),
  };
  const scheduler = async (id: string, more: Readonly<Record<string, string>> = {}) => {
    const listen = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--log-level", "debug"];
    const args = ["scheduler", "--scheduler-id", id, ...listen, "--data-dir", processes.folder()];
    const started = processes.start(args, { env: { ...env, ...more } });
    const [, address = ""] = await started.printed(/"address":"([^"]+)".*"the scheduler serves"/, { stream: "stderr" });
    return { process: started, address };
  };
  return { processes, secure, certificate, env, scheduler };
}

function filesOf({ certPath, keyPath }: Certificate): Readonly<Record<string, string>> {
  return { JOBMESH_TLS_CERT: certPath, JOBMESH_TLS_KEY: keyPath };
}

async function runs(one: MeshProcess): Promise<void> {
  const { code } = await one.ended;
  assert.equal(code, 0, one.stderr);
}

test("an executor, the command line and a client find schedulers by etcd and verify the name that is set", async (t) => {
  const { processes, secure, certificate, env, scheduler } = await setup(t);
  await scheduler("scheduler-1");
  const executor = processes.start(["executor", "--allow-commands", "--data-dir", processes.folder()], { env });
  await executor.printed(/"a home took the executor"/, { stream: "stderr" });
  await runs(processes.start(["run", "--", "echo over etcd"], { env }));
  const mesh = await connectMesh({
    etcdEndpoints: env.JOBMESH_ETCD_ENDPOINTS.split(","),
    cluster: env.JOBMESH_CLUSTER,
    tls: { ca: secure.authority.ca, cert: certificate.cert, key: certificate.key, serverName: SERVICE },
    token: secure.token,
  });
  const { executionId } = await mesh.client.submit({ target: command("echo typed") });
  await mesh.client.waitUntilEnded(executionId, AbortSignal.timeout(20_000));
  await mesh.close();
  // By the name in etcd alone the certificate would have to carry "scheduler".
  const { JOBMESH_TLS_SERVER_NAME: _, ...unnamed } = env;
  const outcome = await processes.run(["status"], { env: unnamed });
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /no scheduler answers at etcd:\/\/\/scheduler .*TLS.*scheduler/);
});

test("schedulers link to each other over mTLS; one with another token is refused, and says so", async (t) => {
  const { secure, scheduler } = await setup(t);
  const first = await scheduler("scheduler-1");
  const second = await scheduler("scheduler-2");
  const wrong = secure.authority.write("wrong", "a-token-that-nobody-gave-out\n");
  const third = await scheduler("scheduler-3", { JOBMESH_TOKEN_FILE: wrong });
  for (const { address } of [first, second]) {
    const refused = new RegExp(
      `"address":"${address}".*"a peer refuses the token of this scheduler; it is still tried"`,
    );
    await third.process.printed(refused, { stream: "stderr" });
  }
  // By now the two have linked: what stands ended for nobody.
  for (const [one, other] of [
    [first, second],
    [second, first],
  ] as const) {
    const ended = new RegExp(`"address":"${other.address}".*"a link to a peer ended"`);
    assert.doesNotMatch(one.process.stderr, ended);
  }
  assertSilent([first.process, second.process, third.process], secure);
});

function assertSilent(all: readonly MeshProcess[], { token }: SecureParts): void {
  for (const { stdout, stderr } of all) assert.ok(!`${stdout}${stderr}`.includes(token));
}
