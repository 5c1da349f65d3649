/** A mesh on an etcd that speaks TLS alone and asks for certificates: names are put there and found. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:https";
import { after, before, test } from "node:test";
import { etcdRecipe } from "../../scripts/backend/etcd.ts";
import { TestServer } from "../../scripts/backend/test-server.ts";
import { connectMesh } from "../../services/client/connect-mesh.ts";
import { JobmeshError } from "../../services/client/index.ts";
import { testCluster } from "../support/backends.ts";
import { TestAuthority } from "../support/certificates.ts";
import { MeshProcesses } from "../support/mesh-process.ts";

const authority = new TestAuthority({ after });
const own = authority.issue({ names: ["DNS:localhost", "IP:127.0.0.1"] });
const foreign = new TestAuthority({ after }).issue();

/** etcd with a certificate, for those who have one of the same authority. */
const server = new TestServer({
  ...etcdRecipe,
  command: async (folder, ports) => {
    const { program, args } = await etcdRecipe.command(folder, ports);
    const client = args.map((arg) => (arg.endsWith(`:${ports[0]}`) ? arg.replace("http://", "https://") : arg));
    const files = ["--cert-file", own.certPath, "--key-file", own.keyPath, "--trusted-ca-file", authority.caPath];
    return { program, args: [...client, ...files, "--client-cert-auth"] };
  },
  isReady: async ([port]) => {
    const { cert, key } = own;
    const asked = request({
      host: "localhost",
      port,
      path: "/health",
      ca: authority.ca,
      cert,
      key,
      agent: false,
    }).end();
    const [response] = await once(asked, "response");
    response.resume();
    return response.statusCode === 200;
  },
});

before(() => server.start());
after(() => server.dispose());

test("a scheduler, an executor and clients find each other by an etcd over mTLS", async (t) => {
  const processes = new MeshProcesses(t);
  const endpoint = `https://localhost:${server.ports[0]}`;
  const cluster = testCluster();
  const env = {
    JOBMESH_ETCD_ENDPOINTS: endpoint,
    JOBMESH_ETCD_CA: authority.caPath,
    JOBMESH_ETCD_CERT: own.certPath,
    JOBMESH_ETCD_KEY: own.keyPath,
    JOBMESH_CLUSTER: cluster,
  };
  const listen = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
  const scheduler = processes.start(["scheduler", ...listen, "--data-dir", processes.folder()], { env });
  await scheduler.printed(/"the scheduler serves"/, { stream: "stderr" });
  const executor = processes.start(["executor", "--allow-commands", "--data-dir", processes.folder()], { env });
  await executor.printed(/"a home took the executor"/, { stream: "stderr" });
  const ran = await processes.run(["run", "--", "echo found"], { env });
  assert.deepEqual([ran.code, ran.stdout], [0, "found\n"], ran.stderr);
  assert.doesNotMatch(`${scheduler.stderr}${executor.stderr}${ran.stderr}`, /Warning/);

  const status = async (etcdTls: { ca?: string; cert?: string; key?: string }): Promise<string> => {
    const mesh = await connectMesh({ etcdEndpoints: [endpoint], etcdTls, cluster, timeoutMs: 3_000 });
    try {
      await mesh.client.mesh.getMeshStatus({});
      return "OK";
    } catch (thrown) {
      return JobmeshError.from(thrown).code;
    } finally {
      await mesh.close();
    }
  };
  const { ca } = authority;
  assert.equal(await status({ ca, cert: own.cert, key: own.key }), "OK");
  for (const wrong of [{ ca }, { ca, cert: foreign.cert, key: foreign.key }, { cert: own.cert, key: own.key }]) {
    assert.notEqual(await status(wrong).catch(() => "no etcd"), "OK");
  }
});
