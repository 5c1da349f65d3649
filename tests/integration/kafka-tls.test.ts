/** Work and results by a Kafka that takes TLS, client certificates and a user, and nobody without. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import { kafkaRecipe } from "../../scripts/backend/kafka.ts";
import { TestServer } from "../../scripts/backend/test-server.ts";
import { BusUnavailable, type ResultRecord } from "../../services/common/port/bus.ts";
import type { KafkaSecurity, KafkaUser } from "../../services/common/security/kafka-security.ts";
import { Secret } from "../../services/common/security/secret.ts";
import { gatherOrders, numberOf, openKafkaBus, order } from "../support/bus.ts";
import { type Certificate, TestAuthority } from "../support/certificates.ts";
import { sampleResult } from "../unit/wire/samples.ts";

const PASSWORD = "the password of the mesh";
const authority = new TestAuthority({ after });
const stranger = new TestAuthority({ after });
const own = authority.issue();
const foreign = stranger.issue();
const keystore = authority.write("keystore.pem", `${own.key}${own.cert}`);

/** Kafka as for other tests, and on a third port by TLS, for those who show a certificate and know the password. */
const server = new TestServer({
  ...kafkaRecipe,
  portCount: 3,
  command: async (folder, ports) => {
    const { program, args } = await kafkaRecipe.command(folder, ports);
    const [path = assert.fail()] = args.slice(-1);
    const plain = await readFile(path, "utf8");
    const added = (name: string, more: string): string => `${new RegExp(`^${name}=.*$`, "m").exec(plain)?.[0]},${more}`;
    const login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    const properties = [
      plain,
      added("listeners", `SASL_SSL://127.0.0.1:${ports[2]}`),
      added("advertised\\.listeners", `SASL_SSL://localhost:${ports[2]}`),
      "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
      ...["ssl.keystore.type=PEM", `ssl.keystore.location=${keystore}`],
      ...["ssl.truststore.type=PEM", `ssl.truststore.location=${authority.caPath}`],
      ...["listener.name.sasl_ssl.ssl.client.auth=required", "sasl.enabled.mechanisms=PLAIN"],
      `listener.name.sasl_ssl.plain.sasl.jaas.config=${login} user_mesh="${PASSWORD}";`,
      "",
    ];
    await writeFile(path, properties.join("\n"));
    return { program, args };
  },
});

before(() => server.start());
after(() => server.dispose());

function securityOf(certificate: Certificate | null, password: string | null, ca = authority.ca): KafkaSecurity {
  const identity = certificate === null ? null : { cert: certificate.cert, key: new Secret(certificate.key) };
  const user: KafkaUser | null =
    password === null ? null : { mechanism: "plain", username: "mesh", password: new Secret(password) };
  return { tls: { ca, identity }, user };
}

function open(security: KafkaSecurity, given: { readonly startTimeoutMs?: number } = {}) {
  return openKafkaBus([`localhost:${server.ports[2]}`], { ...given, security });
}

test("orders and results go by a broker that wants TLS, a certificate and a user", async (t) => {
  const bus = open(securityOf(own, PASSWORD));
  t.after(bus.close);
  const [scheduler, executor] = [bus.scheduler(), bus.executor()];
  const orders = gatherOrders(executor);
  await Promise.all([scheduler.start(), executor.start(0)]);
  await scheduler.sendOrder(0, order(1));
  await orders.reached(1);
  assert.deepEqual(orders.items.map(numberOf), [1]);
  const { partition, offset } = await executor.sendResult(1, sampleResult());
  const come = Promise.withResolvers<readonly ResultRecord[]>();
  scheduler.onResults(async (_, records) => come.resolve(records));
  scheduler.readResults([{ partition, offset }]);
  assert.equal((await come.promise).length, 1);
});

for (const [name, security] of [
  ["a wrong password", securityOf(own, "another password")],
  ["no user", securityOf(own, null)],
  ["no certificate", securityOf(null, PASSWORD)],
  ["a certificate of another authority", securityOf(foreign, PASSWORD)],
  ["another authority's roots", securityOf(own, PASSWORD, stranger.ca)],
  ["clear text", { ...securityOf(own, PASSWORD), tls: null }],
] as const) {
  test(`with ${name} the bus is away, and shows no password`, async (t) => {
    const bus = open(security, { startTimeoutMs: 3_000 });
    t.after(bus.close);
    await assert.rejects(bus.scheduler().start(), (error) => {
      assert.ok(error instanceof BusUnavailable, String(error));
      assert.doesNotMatch(inspect(error, { depth: 10 }), /password of|another password/);
      return true;
    });
  });
}
