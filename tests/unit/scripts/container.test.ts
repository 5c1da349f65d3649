/** Which way a test server is run, and the command lines of the container way, on stand-ins of docker and podman. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { findEngine } from "../../../scripts/backend/container-engine.ts";
import { etcdRecipe } from "../../../scripts/backend/etcd.ts";
import { NotInstallable } from "../../../scripts/backend/installation.ts";
import { kafkaRecipe } from "../../../scripts/backend/kafka.ts";
import { mariaDbRecipe } from "../../../scripts/backend/mariadb.ts";
import { engineVariable, TestServer, type TestServerRecipe } from "../../../scripts/backend/test-server.ts";
import { type Answer, FakeEngines } from "./fake-engine.ts";

interface Setup {
  readonly docker?: Answer;
  readonly podman?: Answer;
  /** The preference, JOBMESH_TEST_ENGINE. */
  readonly preference?: string;
  /** Whether the server can be had as a process of this machine. */
  readonly isInstallable?: boolean;
  readonly recipe?: TestServerRecipe;
}

/** A server of a recipe that knows both ways, its container on ports 11001 and up, disposed of when the test ends. */
function setup(t: TestContext, options: Setup): { engines: FakeEngines; server: TestServer } {
  const engines = new FakeEngines({ docker: options.docker ?? "refuses", podman: options.podman ?? "refuses" });
  process.env[engineVariable] = options.preference ?? "";
  const local: Pick<TestServerRecipe, "prepare" | "command"> = {
    prepare: async () => {
      if (!options.isInstallable) throw new NotInstallable("thing is not installed");
    },
    command: async () => ({ program: "sleep", args: ["60"] }),
  };
  const container = options.recipe ?? {
    name: "thing",
    portCount: 2,
    container: () => ({ image: "thing:1", environment: { A: "b c" }, args: ["--x"] }),
  };
  // As a process it is taken for ready at once.
  const isReady = async (): Promise<boolean> => engines.calls().length === 0 || engines.isRunning();
  let port = 11_000;
  const choosePorts = async (count: number): Promise<number[]> => Array.from({ length: count }, () => ++port);
  const server = new TestServer({ ...container, ...local, isReady }, choosePorts);
  t.after(async () => {
    await server.dispose();
    engines[Symbol.dispose]();
    delete process.env[engineVariable];
  });
  return { engines, server };
}

test("what is installed or can be runs as a process, and no engine is asked", async (t) => {
  for (const preference of ["", "local"]) {
    const { engines, server } = setup(t, { docker: "answers", isInstallable: true, preference });
    await server.start();
    assert.equal(server.way, "as a process");
    assert.deepEqual(engines.calls(), []);
  }
});

test("what cannot be installed runs in a container of docker where that answers", async (t) => {
  const { engines, server } = setup(t, { docker: "answers", podman: "answers" });
  await server.start();
  assert.equal(server.way, "in a container of docker (thing:1)");
  assert.deepEqual(engines.calls(), [
    "docker info",
    "docker image inspect thing:1",
    "docker run -d --name NAME -p 127.0.0.1:11001:11001 -e A=b c thing:1 --x",
  ]);
});

test("podman is taken where docker does not answer", async (t) => {
  const { engines, server } = setup(t, { podman: "answers" });
  await server.start();
  assert.equal(server.way, "in a container of podman (thing:1)");
  assert.deepEqual(engines.calls().slice(0, 3), ["docker info", "podman info", "podman image inspect thing:1"]);
});

test("an engine that hangs is given up at the limit", async () => {
  using _engines = new FakeEngines({ docker: "hangs", podman: "answers" });
  assert.equal((await findEngine(300))?.name, "podman");
});

test("a container is taken when it is asked for, also of what is installed", async (t) => {
  const { server } = setup(t, { docker: "answers", isInstallable: true, preference: "container" });
  await server.start();
  assert.match(server.way, /container of docker/);
});

test("the reasons are told where neither way is there, and an engine is not asked against the preference", async (t) => {
  const neither = setup(t, {});
  const both = /^thing is not installed; and no container engine answers \(docker info, podman info\)$/;
  await assert.rejects(neither.server.start(), (error) => error instanceof NotInstallable && both.test(error.message));
  const local = setup(t, { docker: "answers", preference: "local" });
  await assert.rejects(local.server.start(), { name: "NotInstallable", message: "thing is not installed" });
  assert.deepEqual(local.engines.calls(), []);
  const container = setup(t, { isInstallable: true, preference: "container" });
  await assert.rejects(container.server.start(), /JOBMESH_TEST_ENGINE=container asks.*thing; and no container engine/);
  const wrong = setup(t, { isInstallable: true, preference: "docker" });
  await assert.rejects(wrong.server.start(), /JOBMESH_TEST_ENGINE is "docker": it must be local or container/);
});

test("an image that is not there is pulled, and told by name when it cannot be", async (t) => {
  const { engines, server } = setup(t, { docker: "answers" });
  engines.mark("missing");
  engines.mark("offline");
  await assert.rejects(server.start(), /^NotInstallable: thing is not.*image thing:1 of thing could.*no network$/);
  assert.equal(engines.calls().at(-1), "docker pull thing:1");
});

test("stop, kill, pause and restarts keep the container and its port; dispose removes it with its data", async (t) => {
  const { engines, server } = setup(t, { docker: "answers" });
  await server.start();
  const said = async (work: () => unknown): Promise<string[]> => {
    const before = engines.calls().length;
    await work();
    return engines.calls().slice(before);
  };
  assert.deepEqual(await said(() => server.stop()), ["docker stop -t 30 NAME"]);
  assert.deepEqual(await said(() => server.start()), ["docker start NAME"]);
  assert.deepEqual(await said(() => server.kill()), ["docker kill NAME", "docker wait NAME"]);
  assert.deepEqual(await said(() => server.start()), ["docker start NAME"]);
  assert.deepEqual(await said(() => server.pause()), ["docker pause NAME"]);
  assert.deepEqual(await said(() => server.resume()), ["docker unpause NAME"]);
  assert.deepEqual(await said(() => server.resume()), []);
  server.pause();
  const killed = ["docker unpause NAME", "docker kill NAME", "docker wait NAME"];
  assert.deepEqual(await said(() => server.kill()), killed);
  assert.deepEqual([...server.ports], [11_001, 11_002]);
  assert.deepEqual(await said(() => server.dispose()), ["docker unpause NAME", "docker rm --force --volumes NAME"]);
});

test("a port that was taken meanwhile leads to another container on another port", async (t) => {
  const { engines, server } = setup(t, { docker: "answers" });
  engines.mark("taken");
  await server.start();
  assert.deepEqual([...server.ports], [11_003, 11_004]);
  const calls = engines.calls().filter((call) => / (run|rm) /.test(call));
  assert.deepEqual(
    calls.map((call) => call.split(" ")[1]),
    ["run", "rm", "run"],
  );
});

test("a server that ends while starting is told with its last words", async (t) => {
  const { engines, server } = setup(t, { docker: "answers" });
  await server.start();
  await server.kill();
  engines.mark("broken");
  await assert.rejects(server.start(), /thing ended while starting:\nlast words/);
});

test("etcd, Kafka and MariaDB run with the settings they have as processes", async (t) => {
  const lines: string[] = [];
  for (const recipe of [etcdRecipe, kafkaRecipe, mariaDbRecipe]) {
    const { engines, server } = setup(t, { docker: "answers", preference: "container", recipe });
    await server.start();
    lines.push(engines.calls().at(-1) ?? "");
  }
  const run = "docker run -d --name NAME -p 127.0.0.1:11001:11001";
  assert.deepEqual(lines, [
    `${run} --entrypoint /usr/local/bin/etcd rancher/mirrored-coreos-etcd:v3.5.12 --name test --data-dir /var/lib/etcd` +
      " --listen-client-urls http://0.0.0.0:11001 --advertise-client-urls http://127.0.0.1:11001" +
      " --listen-peer-urls http://127.0.0.1:11002 --initial-advertise-peer-urls http://127.0.0.1:11002" +
      " --initial-cluster test=http://127.0.0.1:11002 --log-level warn --logger zap --unsafe-no-fsync",
    `${run} -e CLUSTER_ID=am9ibWVzaC10ZXN0cy0wMQ -e KAFKA_HEAP_OPTS=-Xms256m -Xmx512m` +
      " -e KAFKA_PROCESS_ROLES=broker,controller -e KAFKA_NODE_ID=1" +
      " -e KAFKA_CONTROLLER_QUORUM_VOTERS=1@127.0.0.1:11002" +
      " -e KAFKA_LISTENERS=PLAINTEXT://0.0.0.0:11001,CONTROLLER://127.0.0.1:11002" +
      " -e KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:11001 -e KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER" +
      " -e KAFKA_LOG_DIRS=/tmp/kraft-combined-logs -e KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1" +
      " -e KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=1 -e KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=1" +
      " -e KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0 -e KAFKA_AUTO_CREATE_TOPICS_ENABLE=false" +
      " -e KAFKA_BROKER_SESSION_TIMEOUT_MS=3000 -e KAFKA_BROKER_HEARTBEAT_INTERVAL_MS=1000" +
      " -e KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS=4 -e KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS=4" +
      " -e KAFKA_LOG_INDEX_SIZE_MAX_BYTES=1048576 apache/kafka:4.1.0",
    `${run} -e MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 mariadb:10.11 --port=11001 --skip-name-resolve` +
      " --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=256M --character-set-server=utf8mb4" +
      " --max-connections=500",
  ]);
});

test("a run that dies by SIGKILL leaves no container behind", async () => {
  using engines = new FakeEngines({ docker: "answers", podman: "refuses" });
  const source = resolve(import.meta.dirname, "../../../scripts/backend/server-container.ts");
  const program = `
    const { ServerContainer } = await import(${JSON.stringify(source)});
    const recipe = { name: "thing", portCount: 1, isReady: async () => true,
      container: () => ({ image: "thing:1", environment: {}, args: [] }) };
    const engine = { name: "docker", file: ${JSON.stringify(`${engines.folder}/docker`)} };
    await new ServerContainer(recipe, engine, async () => [11001]).start();
    console.log("started");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await engines.called(/^docker rm --force --volumes NAME$/);
});
