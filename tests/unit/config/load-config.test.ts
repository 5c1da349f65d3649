import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../../../services/common/config/load-config.ts";
import { PROCESSES, type ProcessName, type Settings } from "../../../services/common/config/process-settings.ts";
import { describeStore } from "../../../services/common/config/shared-settings.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";

type Env = Readonly<Record<string, string>>;

function load<P extends ProcessName>(process: P, env: Env = {}, argv: readonly string[] = []) {
  return loadConfig(process, { env, argv });
}

function faults(process: ProcessName, env: Env, argv: readonly string[] = []): Map<string, string> {
  try {
    loadConfig(process, { env, argv });
  } catch (thrown) {
    assert.ok(thrown instanceof JobmeshError);
    assert.equal(thrown.reason, "CONFIG_INVALID");
    return new Map(thrown.fieldViolations.map(({ field, description }) => [field, description]));
  }
  return assert.fail("nothing was at fault");
}

test("every default is valid and every process loads from nothing", () => {
  for (const process of Object.keys(PROCESSES) as ProcessName[]) {
    const { config, help, rest, unused } = load(process);
    assert.deepEqual([help, rest, unused], [false, [], []]);
    assert.deepEqual(Object.keys(config), Object.keys(PROCESSES[process]));
    assert.ok(Object.isFrozen(config));
  }
});

test("a setting has one meaning and one default, but where a process needs another", () => {
  const differing = new Set<string>();
  const seen = new Map<string, string | null>();
  for (const settings of Object.values<Settings>(PROCESSES)) {
    const envs = Object.values(settings).map(({ env }) => env);
    assert.equal(new Set(envs).size, envs.length);
    for (const { env, default: value } of Object.values(settings)) {
      if (seen.has(env) && seen.get(env) !== value) differing.add(env);
      seen.set(env, value);
    }
  }
  assert.deepEqual([...differing].sort(), [
    "JOBMESH_ALLOW_COMMANDS",
    "JOBMESH_DATA_DIR",
    "JOBMESH_HTTP_LISTEN",
    "JOBMESH_LOG_LEVEL",
  ]);
});

test("the values of the protocol are the defaults", () => {
  const { config } = load("scheduler");
  assert.deepEqual(
    [config.heartbeatMs, config.suspectMs, config.leaseMs, config.lossMs, config.sessionLeaseMs],
    [1_000, 3_000, 5_000, 6_000, 45_000],
  );
  assert.deepEqual([config.resultPartitionCount, config.laneCount], [16, 256]);
  assert.equal(config.submitGroupBytes, 4 * 1024 * 1024);
});

test("a flag goes before a variable, in either form", () => {
  const env = { JOBMESH_SLOTS: "3", JOBMESH_LABELS: "zone=a, gpu = yes" };
  assert.equal(load("executor", env).config.slots, 3);
  assert.equal(load("executor", env, ["--slots", "4"]).config.slots, 4);
  assert.equal(load("executor", env, ["--slots=5"]).config.slots, 5);
  assert.deepEqual(load("executor", env).config.labels, { zone: "a", gpu: "yes" });
});

test("a switch needs no value, and what follows it is an argument", () => {
  const loaded = load("executor", {}, ["--allow-commands", "left", "--insecure=false", "--", "--slots", "x"]);
  assert.equal(loaded.config.allowCommands, true);
  assert.equal(loaded.config.insecure, false);
  assert.deepEqual(loaded.rest, ["left", "--slots", "x"]);
  assert.equal(load("dev").config.allowCommands, true);
  assert.equal(load("dev", {}, ["--allow-commands=false"]).config.allowCommands, false);
});

test("every fault is reported at once, with both names, the limit and what was given", () => {
  const env = { JOBMESH_SLOTS: "0", JOBMESH_LISTEN: "here", JOBMESH_HEARTBEAT: "1 s", JOBMESH_LOG_LEVEL: "loud" };
  const found = faults("dev", env, ["--labels", "=x"]);
  assert.deepEqual([...found.entries()].sort(), [
    ["JOBMESH_HEARTBEAT (--heartbeat)", 'must be a duration of 100ms to 1m; was "1 s"'],
    ["JOBMESH_LABELS (--labels)", 'must be key=value pairs, separated by commas, each key once; was "=x"'],
    ["JOBMESH_LISTEN (--listen)", 'must be host:port, with a port of 0 to 65535; was "here"'],
    ["JOBMESH_LOG_LEVEL (--log-level)", 'must be one of debug, info, warn, error, silent; was "loud"'],
    ["JOBMESH_SLOTS (--slots)", 'must be a whole number of 1 to 100000; was "0"'],
  ]);
});

test("limits are inclusive", () => {
  for (const slots of ["1", "100000"])
    assert.equal(load("executor", { JOBMESH_SLOTS: slots }).config.slots, Number(slots));
  for (const slots of ["0", "100001", "1.5", "1e3", "-1"]) faults("executor", { JOBMESH_SLOTS: slots });
});

test("unknown flags and JOBMESH_ names are faults, and the near name is offered", () => {
  const found = faults("executor", { JOBMESH_LABLES: "a=b", JOBMESH_XYZZY_PLUGH: "1" }, ["--slot", "3", "--kafka"]);
  assert.equal(found.get("JOBMESH_LABLES"), "is not a setting; did you mean JOBMESH_LABELS?");
  assert.equal(found.get("JOBMESH_XYZZY_PLUGH"), "is not a setting");
  assert.equal(found.get("--slot"), "is not an option; did you mean --slots?");
  assert.ok(found.has("--kafka"));
});

test("a flag without its value or given twice is a fault", () => {
  assert.match(faults("executor", {}, ["--slots"]).get("--slots") ?? "", /^needs a value: whole number/);
  assert.equal(faults("executor", {}, ["--slots", "1", "--slots=2"]).get("--slots"), "was given twice");
});

test("settings of other processes are named as unused, foreign variables are left alone", () => {
  const env = { JOBMESH_SLOTS: "3", JOBMESH_TEST_ETCD: "x", PATH: "/bin", JOBMESH_LANES: "" };
  assert.deepEqual(load("scheduler", env).unused, ["JOBMESH_SLOTS"]);
  assert.deepEqual(load("dev", { JOBMESH_KAFKA_BROKERS: "127.0.0.1:9092" }).unused, ["JOBMESH_KAFKA_BROKERS"]);
});

test("a command that jobmesh runs may call jobmesh, whatever its parameters are called", () => {
  const env = {
    JOBMESH_EXECUTION_ID: "e",
    JOBMESH_PARAMETER_DAY: "1",
    JOBMESH_SLOTS: "2",
    JOBMESH_LISTEN: "127.0.0.1:1",
  };
  assert.deepEqual(load("client", env).unused, ["JOBMESH_SLOTS", "JOBMESH_LISTEN"]);
  assert.ok(faults("client", { JOBMESH_PARAMETER_DAY: "1" }).has("JOBMESH_PARAMETER_DAY"));
});

test("an empty variable is unset", () => {
  const { config } = load("scheduler", { JOBMESH_KAFKA_BROKERS: "", JOBMESH_HEARTBEAT: "" });
  assert.equal(config.kafkaBrokers, null);
  assert.equal(config.heartbeatMs, 1_000);
});

test("times that act on each other keep their order", () => {
  const found = faults("scheduler", { JOBMESH_SUSPECT: "5s", JOBMESH_LOSS: "4s" });
  assert.equal(found.get("JOBMESH_SUSPECT (--suspect)"), "must be less than JOBMESH_LEASE, which is 5s; was 5s");
  assert.equal(found.get("JOBMESH_LEASE (--lease)"), "must be less than JOBMESH_LOSS, which is 4s; was 5s");
});

test("a listener beyond loopback needs --insecure", () => {
  const found = faults("dev", { JOBMESH_LISTEN: "0.0.0.0:7070", JOBMESH_HTTP_LISTEN: "[::]:7071" });
  assert.deepEqual([...found.keys()], ["JOBMESH_LISTEN (--listen)", "JOBMESH_HTTP_LISTEN (--http-listen)"]);
  assert.equal(load("dev", { JOBMESH_LISTEN: "0.0.0.0:7070" }, ["--insecure"]).config.listen, "0.0.0.0:7070");
  for (const listen of ["localhost:1", "127.9.9.9:1", "[::1]:1"]) load("dev", { JOBMESH_LISTEN: listen });
});

test("two listeners cannot share an address, unless the system chooses", () => {
  assert.ok(faults("dev", { JOBMESH_HTTP_LISTEN: "127.0.0.1:7070" }).has("JOBMESH_HTTP_LISTEN (--http-listen)"));
  load("dev", { JOBMESH_LISTEN: "127.0.0.1:0", JOBMESH_HTTP_LISTEN: "127.0.0.1:0" });
});

test("an address that nobody can dial is not put into etcd", () => {
  const env = { JOBMESH_LISTEN: "0.0.0.0:7070", JOBMESH_ETCD_ENDPOINTS: "127.0.0.1:2379", JOBMESH_INSECURE: "1" };
  assert.ok(faults("scheduler", env).has("JOBMESH_ADVERTISE (--advertise)"));
  const { config } = load("scheduler", { ...env, JOBMESH_ADVERTISE: "scheduler-1:7070" });
  assert.equal(config.advertise, "scheduler-1:7070");
  assert.deepEqual(config.etcdEndpoints, ["http://127.0.0.1:2379"]);
});

test("a name in etcd needs etcd", () => {
  assert.ok(
    faults("executor", { JOBMESH_SCHEDULER: "etcd:///scheduler" }).has("JOBMESH_ETCD_ENDPOINTS (--etcd-endpoints)"),
  );
  load("executor", { JOBMESH_SCHEDULER: "etcd:///scheduler", JOBMESH_ETCD_ENDPOINTS: "a:1,http://b:2" });
  assert.ok(faults("client", { JOBMESH_SCHEDULER: "etcd://scheduler" }).has("JOBMESH_SCHEDULER (--scheduler)"));
});

test("the store is SQLite or MySQL, and its password is never shown", () => {
  assert.deepEqual(load("dev", { JOBMESH_STORE: "sqlite:./x.db" }).config.store, { kind: "sqlite", path: "./x.db" });
  const { store } = load("scheduler", { JOBMESH_STORE: "mysql://me:hush@db:3306/mesh" }).config;
  assert.ok(store);
  assert.equal(describeStore(store), "mysql://db:3306/mesh");
  for (const wrong of ["postgres://me:hush@db/mesh", "mysql://me:hush@db", "mysql://", "sqlite:"]) {
    assert.doesNotMatch(faults("scheduler", { JOBMESH_STORE: wrong }).get("JOBMESH_STORE (--store)") ?? "hush", /hush/);
  }
});

test("--help is found even beside faults", () => {
  assert.equal(load("dev", { JOBMESH_SLOTS: "none" }, ["--help"]).help, true);
  assert.equal(load("dev", {}, ["-h"]).help, true);
  assert.deepEqual(load("client", {}, ["--", "--help"]), { ...load("client"), rest: ["--help"] });
});

test("OpenTelemetry's own names are read and checked", () => {
  const { config } = load("dev", {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318",
    OTEL_TRACES_SAMPLER: "traceidratio",
    OTEL_TRACES_SAMPLER_ARG: "0.25",
    OTEL_RESOURCE_ATTRIBUTES: "a=b",
    OTEL_BSP_SCHEDULE_DELAY: "100",
  });
  assert.equal(config.otlpEndpoint, "http://127.0.0.1:4318");
  assert.equal(config.tracesSamplerRatio, 0.25);
  assert.deepEqual(config.otelResource, { a: "b" });
  const found = faults("dev", { OTEL_TRACES_EXPORTER: "jaeger", OTEL_TRACES_SAMPLER_ARG: "2" });
  assert.deepEqual([...found.keys()].sort(), ["OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER_ARG"]);
});

test("rule 34: events without Kafka are refused, by name, and in the embedded mesh always", () => {
  const env = { JOBMESH_EXECUTION_EVENTS: "true" };
  const field = "JOBMESH_EXECUTION_EVENTS (--execution-events)";
  assert.equal(faults("scheduler", env).get(field), "must be false, because JOBMESH_KAFKA_BROKERS is not set");
  assert.equal(faults("dev", env).get(field), "must be false, because the embedded mesh has no Kafka");
  const brokers = { JOBMESH_KAFKA_BROKERS: "kafka:9092" };
  assert.equal(
    faults("dev", { ...env, ...brokers }).get(field),
    "must be false, because the embedded mesh has no Kafka",
  );
  assert.equal(load("scheduler", { ...env, ...brokers }).config.executionEvents, true);
  assert.equal(load("scheduler", brokers).config.executionEvents, false, "off unless it is asked for");
});
