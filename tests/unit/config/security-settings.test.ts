import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inspect } from "node:util";
import { loadConfig } from "../../../services/common/config/load-config.ts";
import type { ProcessName } from "../../../services/common/config/process-settings.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { createLogger } from "../../../services/common/runtime/log.ts";
import { kafkaSecurity } from "../../../services/common/security/kafka-security.ts";
import { channelSecurity, etcdSecurity, listenerSecurity } from "../../../services/common/security/link-security.ts";
import { TestAuthority } from "../../support/certificates.ts";

type Env = Readonly<Record<string, string>>;

const TOKEN = "a-token-of-this-test";
const authority = new TestAuthority({ after });
const own = authority.issue();
const other = authority.issue();
const identity = { JOBMESH_TLS_CERT: own.certPath, JOBMESH_TLS_KEY: own.keyPath };
const trust = { JOBMESH_TLS_CA: authority.caPath };

function load<P extends ProcessName>(process: P, env: Env) {
  return loadConfig(process, { env, argv: [] }).config;
}

function faults(process: ProcessName, env: Env): Map<string, string> {
  try {
    load(process, env);
  } catch (thrown) {
    assert.ok(thrown instanceof JobmeshError);
    assert.doesNotMatch(thrown.message, new RegExp(TOKEN));
    return new Map(thrown.fieldViolations.map(({ field, description }) => [field.split(" ")[0] ?? "", description]));
  }
  return assert.fail("nothing was at fault");
}

const BEYOND = [
  { process: "scheduler", listener: "JOBMESH_LISTEN" },
  { process: "scheduler", listener: "JOBMESH_HTTP_LISTEN" },
  { process: "dev", listener: "JOBMESH_LISTEN" },
  { process: "dev", listener: "JOBMESH_HTTP_LISTEN" },
  { process: "executor", listener: "JOBMESH_HTTP_LISTEN" },
] as const;

for (const { process, listener } of BEYOND) {
  test(`${process}: ${listener} beyond loopback needs TLS, and a token or client certificates, or --insecure`, () => {
    const reached = { [listener]: "192.0.2.1:7099" };
    const refused: [env: Env, lacks: RegExp][] = [
      [{}, /has no TLS and no token; set JOBMESH_TLS_CERT and JOBMESH_TLS_KEY, and JOBMESH_TOKEN_FILE/],
      [{ JOBMESH_TOKEN: TOKEN }, /token in clear text; set JOBMESH_TLS_CERT and JOBMESH_TLS_KEY/],
      [
        { ...identity, ...trust },
        /asks nobody for a token; set JOBMESH_TOKEN_FILE, or JOBMESH_TLS_CLIENT_CERTS=required/,
      ],
    ];
    for (const [env, lacks] of refused) {
      const found = faults(process, { ...reached, ...env });
      assert.match(found.get(listener) ?? "", lacks);
      assert.match(found.get(listener) ?? "", /^is beyond loopback.*--insecure allows it; was 192\.0\.2\.1:7099$/);
      load(process, { ...reached, ...env, JOBMESH_INSECURE: "true" });
      load(process, { ...env, [listener]: "127.0.0.1:7099" });
    }
    load(process, { ...reached, ...identity, ...trust, JOBMESH_TOKEN: TOKEN });
    load(process, { ...reached, ...identity, ...trust, JOBMESH_TLS_CLIENT_CERTS: "required" });
  });
}

test("a certificate and its key belong together", () => {
  assert.match(faults("dev", { JOBMESH_TLS_CERT: own.certPath }).get("JOBMESH_TLS_KEY") ?? "", /must be set/);
  assert.match(faults("dev", { JOBMESH_TLS_KEY: own.keyPath }).get("JOBMESH_TLS_CERT") ?? "", /must be set/);
  const found = faults("dev", { ...identity, JOBMESH_TLS_KEY: other.keyPath });
  assert.match(found.get("JOBMESH_TLS_KEY") ?? "", /must be the key of the first certificate/);
});

test("who dials schedulers and has a certificate says whom it trusts; the embedded mesh dials nobody", () => {
  for (const process of ["executor", "client"] as const) assert.ok(faults(process, identity).has("JOBMESH_TLS_CA"));
  assert.ok(faults("scheduler", { ...identity, JOBMESH_ETCD_ENDPOINTS: "etcd:2379" }).has("JOBMESH_TLS_CA"));
  load("scheduler", identity);
  load("dev", identity);
  assert.ok(faults("client", { JOBMESH_TLS_SERVER_NAME: "mesh" }).has("JOBMESH_TLS_CA"));
});

test("client certificates are required of an authority of one's own, and by a listener with TLS", () => {
  const required = { JOBMESH_TLS_CLIENT_CERTS: "required" };
  assert.deepEqual([...faults("dev", required).keys()], ["JOBMESH_TLS_CERT", "JOBMESH_TLS_CA"]);
  assert.ok(faults("dev", { ...identity, ...required, JOBMESH_TLS_CA: "system" }).has("JOBMESH_TLS_CA"));
});

test("files that cannot be read, or are something else, are all named at once", () => {
  const text = authority.write("text", "no PEM at all");
  const half = authority.write(
    "half.pem",
    `${authority.ca}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
  );
  const found = faults("scheduler", {
    JOBMESH_TLS_CERT: half,
    JOBMESH_TLS_KEY: own.certPath,
    JOBMESH_TLS_CA: text,
    JOBMESH_TOKEN_FILE: `${text}.none`,
    JOBMESH_LISTEN: "0.0.0.0:7070",
  });
  assert.deepEqual(Object.fromEntries(found), {
    JOBMESH_TLS_CERT: `must be a PEM file of certificates; was ${JSON.stringify(half)}`,
    JOBMESH_TLS_KEY: `must be a PEM file of a private key without a password; was ${JSON.stringify(own.certPath)}`,
    JOBMESH_TLS_CA: `must be a PEM file of certificates, or system; was ${JSON.stringify(text)}`,
    JOBMESH_TOKEN_FILE: "must be a file that can be read: ENOENT",
  });
  const large = authority.write("large", "x".repeat(1024 * 1024 + 1));
  assert.match(faults("client", { JOBMESH_TLS_CA: large }).get("JOBMESH_TLS_CA") ?? "", /at most 1048576 bytes/);
});

test("tokens are 1 to 8 of 16 to 512 characters, in the environment or in a file, not in both", () => {
  const take = (count: number, length: number) => Array.from({ length: count }, () => "x".repeat(length)).join(",");
  for (const [count, length] of [
    [1, 16],
    [8, 512],
  ] as const) {
    assert.equal(load("client", { JOBMESH_TOKEN: take(count, length) }).token?.length, count);
  }
  for (const wrong of [take(1, 15), take(1, 513), take(9, 16), `${TOKEN} ${TOKEN}`, `${TOKEN}é`, ","]) {
    const description = faults("client", { JOBMESH_TOKEN: wrong }).get("JOBMESH_TOKEN") ?? "";
    assert.equal(description, "must be 1 to 8 tokens of 16 to 512 of [A-Za-z0-9._~+/=-]");
  }
  const file = authority.write("tokens", `${TOKEN}\n  ${"y".repeat(16)}\r\n\n`);
  const read = load("client", { JOBMESH_TOKEN_FILE: file });
  assert.deepEqual(
    read.tokenFile?.map((one) => one.reveal()),
    [TOKEN, "y".repeat(16)],
  );
  const short = authority.write("short", "short\n");
  assert.ok(faults("client", { JOBMESH_TOKEN_FILE: short }).has("JOBMESH_TOKEN_FILE"));
  assert.ok(faults("client", { JOBMESH_TOKEN_FILE: file, JOBMESH_TOKEN: TOKEN }).has("JOBMESH_TOKEN_FILE"));
});

test("a token has no flag, since a command line can be seen by others", () => {
  assert.throws(
    () => loadConfig("client", { env: {}, argv: ["--token", TOKEN] }),
    (error) => {
      assert.ok(error instanceof JobmeshError);
      assert.match(error.message, /--token: is not an option/);
      assert.doesNotMatch(error.message, new RegExp(TOKEN));
      return true;
    },
  );
});

test("etcd is dialed by TLS at https endpoints, all of them or none, and its certificates are for those", () => {
  const https = { JOBMESH_ETCD_ENDPOINTS: "https://one:2379,https://two:2379" };
  const files = { JOBMESH_ETCD_CERT: own.certPath, JOBMESH_ETCD_KEY: own.keyPath, JOBMESH_ETCD_CA: authority.caPath };
  for (const process of ["scheduler", "executor", "client"] as const) {
    const full = etcdSecurity(load(process, { ...https, ...files }));
    assert.deepEqual([full?.ca, full?.identity?.cert], [authority.ca, own.cert]);
    assert.deepEqual(etcdSecurity(load(process, https)), { ca: null, identity: null });
    assert.equal(etcdSecurity(load(process, { JOBMESH_ETCD_ENDPOINTS: "one:2379" })), null);
    for (const wrong of [
      { JOBMESH_ETCD_ENDPOINTS: "https://one:2379,two:2379" },
      { JOBMESH_ETCD_ENDPOINTS: "one:2379", ...files },
      { JOBMESH_ETCD_CA: "system" },
    ] as const) {
      const description = faults(process, wrong).get("JOBMESH_ETCD_ENDPOINTS") ?? "";
      assert.match(description, /^must be https:\/\/host:port/);
    }
    assert.ok(faults(process, { ...https, JOBMESH_ETCD_CERT: own.certPath }).has("JOBMESH_ETCD_KEY"));
    assert.ok(faults(process, { ...https, ...files, JOBMESH_ETCD_KEY: other.keyPath }).has("JOBMESH_ETCD_KEY"));
  }
});

test("Kafka's user comes with its password and how it is proven, and not in clear text beyond loopback", () => {
  const brokers = { JOBMESH_KAFKA_BROKERS: "127.0.0.1:9092,kafka.example:9092" };
  const user = { JOBMESH_KAFKA_USER: "mesh", JOBMESH_KAFKA_PASSWORD: TOKEN };
  const trusted = { JOBMESH_KAFKA_CA: authority.caPath };
  for (const process of ["scheduler", "executor"] as const) {
    const config = load(process, { ...brokers, ...user, ...trusted, JOBMESH_KAFKA_SASL: "plain" });
    const { tls, user: read } = kafkaSecurity(config);
    assert.deepEqual([tls?.ca, read?.mechanism, read?.password.reveal()], [authority.ca, "plain", TOKEN]);
    assert.ok(!inspect(config).includes(TOKEN) && !JSON.stringify(config).includes(TOKEN));
    load(process, { ...brokers, ...user, JOBMESH_KAFKA_SASL: "scram-sha-512" });
    load(process, { JOBMESH_KAFKA_BROKERS: "127.0.0.1:9092", ...user, JOBMESH_KAFKA_SASL: "plain" });
    load(process, { ...brokers, ...user, JOBMESH_KAFKA_SASL: "plain", JOBMESH_INSECURE: "1" });
    const bare = faults(process, { ...brokers, ...user, JOBMESH_KAFKA_SASL: "plain" });
    assert.match(bare.get("JOBMESH_KAFKA_SASL") ?? "", /to kafka\.example:9092 in clear text; set JOBMESH_KAFKA_CA/);
    assert.match(faults(process, { ...brokers, ...user }).get("JOBMESH_KAFKA_SASL") ?? "", /must be set with/);
    const alone = faults(process, { ...brokers, ...trusted, JOBMESH_KAFKA_SASL: "plain" });
    assert.deepEqual([...alone.keys()], ["JOBMESH_KAFKA_USER", "JOBMESH_KAFKA_PASSWORD"]);
    const shown = { JOBMESH_KAFKA_CERT: own.certPath, JOBMESH_KAFKA_KEY: own.keyPath };
    assert.ok(faults(process, { ...brokers, ...shown }).has("JOBMESH_KAFKA_CA"));
    assert.ok(
      faults(process, { ...brokers, ...trusted, ...shown, JOBMESH_KAFKA_KEY: other.keyPath }).has("JOBMESH_KAFKA_KEY"),
    );
  }
  for (const wrong of ["x".repeat(257)]) {
    const found = faults("scheduler", {
      JOBMESH_KAFKA_USER: wrong,
      JOBMESH_KAFKA_PASSWORD: wrong,
      JOBMESH_KAFKA_SASL: "plain",
    });
    assert.match(found.get("JOBMESH_KAFKA_USER") ?? "", /must be 1 to 256 characters/);
    assert.equal(found.get("JOBMESH_KAFKA_PASSWORD"), "must be 1 to 256 characters");
  }
});

test("a client sends no token in clear text beyond loopback, unless --insecure says so", () => {
  for (const process of ["executor", "client"] as const) {
    const env = { JOBMESH_TOKEN: TOKEN, JOBMESH_SCHEDULER: "scheduler.example:7070" };
    assert.match(faults(process, env).get("JOBMESH_SCHEDULER") ?? "", /clear text; set JOBMESH_TLS_CA; --insecure/);
    load(process, { ...env, ...trust });
    load(process, { ...env, JOBMESH_INSECURE: "1" });
    load(process, { ...env, JOBMESH_SCHEDULER: "127.0.0.1:7070" });
  }
});

test("what a process shows, asks for and trusts follows from its settings", () => {
  const config = load("scheduler", {
    ...{ ...identity, ...trust, JOBMESH_TOKEN: `${TOKEN},${"z".repeat(16)}` },
    ...{ JOBMESH_TLS_CLIENT_CERTS: "required", JOBMESH_TLS_SERVER_NAME: "mesh.example" },
  });
  const { tls, tokens } = listenerSecurity(config);
  assert.deepEqual([tls?.identity.cert, tls?.identity.key.reveal(), tls?.clientCa], [own.cert, own.key, authority.ca]);
  assert.equal(tokens.length, 2);
  const channel = channelSecurity(config);
  assert.equal(channel.token?.reveal(), TOKEN);
  assert.deepEqual([channel.tls?.ca, channel.tls?.serverName], [authority.ca, "mesh.example"]);
  assert.equal(channelSecurity(load("client", { JOBMESH_TLS_CA: "system" })).tls?.ca, null);
  assert.equal(channelSecurity(load("client", {})).tls, null);
});

test("no dump of a config shows a token or a key", () => {
  const file = authority.write("shown", TOKEN);
  for (const tokens of [{ JOBMESH_TOKEN: TOKEN }, { JOBMESH_TOKEN_FILE: file }]) {
    const config = load("scheduler", { ...identity, ...trust, ...tokens });
    const lines: string[] = [];
    const log = createLogger({ level: "debug", serviceName: "test" }, { write: (line) => void lines.push(line) });
    const error = new JobmeshError("INTERNAL", { cause: channelSecurity(config) });
    log.error({ config, err: error, channel: channelSecurity(config) }, "a dump");
    const dumps = [
      ...lines,
      JSON.stringify(config),
      inspect(config, { depth: 10, showHidden: true }),
      `${config.tlsKey}`,
    ];
    const [, keyLine = assert.fail()] = own.key.split("\n");
    for (const dump of dumps) {
      assert.ok(!dump.includes(TOKEN) && !dump.includes(keyLine), dump);
      assert.match(dump, /\[secret\]/);
    }
  }
});
