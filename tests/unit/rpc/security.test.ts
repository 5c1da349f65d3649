/** Every way to call a server: {no, wrong, right token} × {clear text, TLS, mTLS}, with the certificates that do not fit. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { HealthService } from "../../../gen/grpc/health/v1/health.ts";
import { ServerReflectionService } from "../../../gen/grpc/reflection/v1/reflection.ts";
import {
  ExecutionServiceService as Executions,
  GetExecutionRequest,
  GetExecutionResponse,
  WatchExecutionsRequest,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { PeerServiceService } from "../../../gen/jobmesh/v1/peer_service.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { Health } from "../../../services/common/rpc/health.ts";
import { registerNameSource } from "../../../services/common/rpc/name-resolver.ts";
import { Reflection, readContractDescriptors } from "../../../services/common/rpc/reflection.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import type { ChannelSecurity, Identity, ListenerSecurity } from "../../../services/common/security/link-security.ts";
import { Secret } from "../../../services/common/security/secret.ts";
import { channelOf, type SecurityOptions } from "../../../services/common/security/security-options.ts";
import type { Metrics } from "../../../services/common/telemetry/metrics.ts";
import { silentMetrics } from "../../../services/common/telemetry/metrics.ts";
import { type Certificate, TestAuthority } from "../../support/certificates.ts";

const clock = new SystemClock();
const request = GetExecutionRequest.create({});
const TOKEN = "the-token-of-this-test";
const OLD_TOKEN = "the-token-before-this";
const WRONG = "another-token-altogether";

const authority = new TestAuthority({ after });
const stranger = new TestAuthority({ after });
const own = authority.issue();
const foreign = stranger.issue();
const expired = authority.issue({ days: -1 });
const elsewhere = authority.issue({ names: ["DNS:elsewhere.example"] });

function identityOf({ cert, key }: Certificate): Identity {
  return { cert, key: new Secret(key) };
}

function listener(tls: "clear" | "tls" | "mtls", certificate = own): ListenerSecurity {
  const identity = identityOf(certificate);
  const clientCa = tls === "mtls" ? authority.ca : null;
  return { tls: tls === "clear" ? null : { identity, clientCa }, tokens: [new Secret(TOKEN), new Secret(OLD_TOKEN)] };
}

/** A server with a method of each kind, health and reflection, and how to call it. */
async function serve(security: ListenerSecurity, metrics: Metrics = silentMetrics) {
  const seen: (string | null)[] = [];
  const server = new RpcServer({ log: silentLogger, clock, metrics }, { listen: "127.0.0.1:0", security });
  server.addService(Executions, {
    getExecution: (_, context) => {
      seen.push(context.metadata("authorization"));
      return GetExecutionResponse.create({});
    },
    watchExecutions: () => {},
  });
  server.addService(PeerServiceService, {
    link: (stream) => {
      stream.onMessage(() => {});
      stream.onEnd(() => stream.end());
    },
  });
  const health = new Health();
  health.addTo(server);
  health.setAll("SERVING");
  new Reflection([await readContractDescriptors()]).addTo(server);
  const { address } = await server.start();
  const channels: RpcChannel[] = [];
  const open = (given: SecurityOptions | ChannelSecurity, target = address): RpcChannel => {
    const channel = new RpcChannel({ clock }, { target, security: channelOf(given as SecurityOptions) });
    channels.push(channel);
    return channel;
  };
  return {
    ...{ server, address, seen, open },
    async [Symbol.asyncDispose]() {
      for (const channel of channels) channel.close();
      await server.stop(0);
    },
  };
}

/** The reason of the error that one call ends with, "OK" when it ends well. */
async function outcome(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
    return "OK";
  } catch (thrown) {
    assert.ok(thrown instanceof JobmeshError, String(thrown));
    assert.doesNotMatch(JSON.stringify([thrown.message, thrown.metadata]), new RegExp(`${TOKEN}|${WRONG}`));
    return thrown.reason;
  }
}

const TOKENS = { none: undefined, wrong: WRONG, right: TOKEN, older: OLD_TOKEN } as const;
const ca = authority.ca;
const CLIENTS: Record<
  "clear" | "tls" | "mtls",
  readonly [name: string, tls: SecurityOptions["tls"], connects: boolean][]
> = {
  clear: [
    ["clear text", undefined, true],
    ["TLS", { ca }, false],
  ],
  tls: [
    ["TLS", { ca }, true],
    ["TLS with a certificate that nobody asks for", { ca, ...own }, true],
    ["clear text", undefined, false],
    ["another authority's roots", { ca: stranger.ca }, false],
    ["the machine's roots", {}, false],
    ["a name that the certificate does not carry", { ca, serverName: "elsewhere" }, false],
    ["a name that the certificate carries", { ca, serverName: "scheduler" }, true],
  ],
  mtls: [
    ["its own certificate", { ca, ...own }, true],
    ["no certificate", { ca }, false],
    ["another authority's certificate", { ca, ...foreign }, false],
    ["an expired certificate", { ca, ...expired }, false],
    ["clear text", undefined, false],
  ],
};

for (const [kind, clients] of Object.entries(CLIENTS) as [keyof typeof CLIENTS, (typeof CLIENTS)["tls"]][]) {
  for (const [name, tls, connects] of clients) {
    test(`a ${kind} listener, called by ${name}: ${connects ? "the right token decides" : "no connection"}`, async () => {
      await using mesh = await serve(listener(kind));
      for (const [which, token] of Object.entries(TOKENS)) {
        const channel = mesh.open({ tls, token });
        const isIn = which === "right" || which === "older";
        const wanted = connects ? (isIn ? "OK" : "UNAUTHENTICATED") : "PEER_UNAVAILABLE";
        assert.equal(await outcome(() => channel.unary(Executions.getExecution, request)), wanted, `${which} token`);
      }
      assert.deepEqual(
        mesh.seen,
        connects ? [null, null] : [],
        "no handler learns a token, or hears of a refused call",
      );
    });
  }
}

for (const [name, certificate] of Object.entries({ expired, foreign, elsewhere })) {
  test(`a listener whose certificate is ${name} is not called`, async () => {
    await using mesh = await serve(listener("tls", certificate));
    const channel = mesh.open({ tls: { ca }, token: TOKEN });
    assert.equal(await outcome(() => channel.unary(Executions.getExecution, request)), "PEER_UNAVAILABLE");
  });
}

test("streams of every kind, and reflection, need the token; health does not", async () => {
  await using mesh = await serve(listener("tls"));
  for (const [token, wanted] of [
    [WRONG, "UNAUTHENTICATED"],
    [undefined, "UNAUTHENTICATED"],
    [TOKEN, "OK"],
  ] as const) {
    const channel = mesh.open({ tls: { ca }, token });
    const bidi = (
      method: (typeof PeerServiceService)["link"] | (typeof ServerReflectionService)["serverReflectionInfo"],
    ) =>
      outcome(async () => {
        const stream = channel.bidi(method as (typeof PeerServiceService)["link"]);
        const closed = Promise.withResolvers<JobmeshError | null>();
        stream.onMessage(() => {});
        stream.onClosed(closed.resolve);
        stream.end();
        const error = await closed.promise;
        if (error !== null) throw error;
      });
    assert.equal(await bidi(PeerServiceService.link), wanted);
    assert.equal(await bidi(ServerReflectionService.serverReflectionInfo), wanted);
    const watch = async (): Promise<void> => {
      const asked = WatchExecutionsRequest.create({});
      for await (const _ of channel.serverStream(Executions.watchExecutions, asked)) assert.fail("an empty stream");
    };
    assert.equal(await outcome(watch), wanted);
    const { status } = await channel.unary(HealthService.check, { service: "" });
    assert.equal(status, 1);
  }
});

test("a refused call is counted by its code and method", async () => {
  const counted: string[] = [];
  const metrics: Metrics = {
    ...silentMetrics,
    counter: (name, labels) => ({ add: () => void counted.push(`${name} ${JSON.stringify(labels)}`) }),
  };
  await using mesh = await serve(listener("clear"), metrics);
  const channel = mesh.open({ token: WRONG });
  assert.equal(await outcome(() => channel.unary(Executions.getExecution, request)), "UNAUTHENTICATED");
  const method = "jobmesh.v1.ExecutionService/GetExecution";
  assert.deepEqual(counted, [`jobmesh_rpc_calls_total ${JSON.stringify({ method, code: "UNAUTHENTICATED" })}`]);
});

test("only a well-formed bearer token lets a call in, and its own goes before the channel's", async () => {
  await using mesh = await serve(listener("clear"));
  const channel = mesh.open({ token: WRONG });
  const call = (authorization: string) => () =>
    channel.unary(Executions.getExecution, request, { metadata: { authorization } });
  assert.equal(await outcome(call(`Bearer ${TOKEN}`)), "OK");
  assert.equal(await outcome(call(`bearer   ${TOKEN}`)), "OK");
  for (const wrong of [TOKEN, `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, `Bearer ${TOKEN}, Bearer ${TOKEN}`, "Bearer"])
    assert.equal(await outcome(call(wrong)), "UNAUTHENTICATED", wrong);
});

test("by a name in etcd the certificate has to carry that name, or the one that is set", async () => {
  for (const [names, serverName, wanted] of [
    [["DNS:scheduler"], undefined, "OK"],
    [["IP:127.0.0.1"], undefined, "PEER_UNAVAILABLE"],
    [["DNS:mesh.example"], "mesh.example", "OK"],
    [["DNS:scheduler"], "mesh.example", "PEER_UNAVAILABLE"],
  ] as const) {
    await using mesh = await serve(listener("tls", authority.issue({ names })));
    const [host = "", port] = mesh.address.split(":");
    const source = {
      watch: (_: string, onChange: (all: { host: string; port: number }[]) => void) => watchOnce(onChange),
    };
    const watchOnce = (onChange: (all: { host: string; port: number }[]) => void): (() => void) => {
      queueMicrotask(() => onChange([{ host, port: Number(port) }]));
      return () => {};
    };
    const unregister = registerNameSource(source, "secure");
    const channel = mesh.open({ tls: { ca, serverName }, token: TOKEN }, "etcd://secure/scheduler");
    assert.equal(await outcome(() => channel.unary(Executions.getExecution, request)), wanted, `${names}`);
    unregister();
  }
});

test("a token is never sent in clear text beyond loopback: not to an address, not to a name's addresses", async () => {
  const config = (insecure: boolean, target: string) => ({ target, security: channelOf({ token: TOKEN, insecure }) });
  for (const target of ["192.0.2.1:7070", "scheduler.example:7070", "dns:///scheduler.example:7070"]) {
    assert.throws(() => new RpcChannel({ clock }, config(false, target)), { reason: "CONFIG_INVALID", message: /TLS/ });
    new RpcChannel({ clock }, config(true, target)).close();
    new RpcChannel({ clock }, { target, security: channelOf({ token: TOKEN, tls: { ca } }) }).close();
  }
  await using mesh = await serve(listener("clear"));
  const [host = "", port] = mesh.address.split(":");
  const lists = [
    [{ host: "192.0.2.1", port: 1 }],
    [
      { host: "192.0.2.1", port: 1 },
      { host, port: Number(port) },
    ],
  ];
  for (const [index, wanted] of ["PEER_UNAVAILABLE", "OK"].entries()) {
    const unregister = registerNameSource(
      {
        watch: (_, onChange) => {
          queueMicrotask(() => onChange(lists[index] ?? []));
          return () => {};
        },
      },
      "bare",
    );
    const channel = mesh.open({ token: TOKEN }, "etcd://bare/scheduler");
    assert.equal(await outcome(() => channel.unary(Executions.getExecution, request)), wanted);
    unregister();
  }
});

test("what cannot be a token is refused, and not shown", () => {
  for (const token of ["short", `${TOKEN}\n`, `${TOKEN}é`, "x".repeat(513)]) {
    assert.throws(() => channelOf({ token }), {
      reason: "CONFIG_INVALID",
      message: /^token: must be 16 to 512 of \S+$/,
    });
  }
  for (const length of [16, 512]) channelOf({ token: "x".repeat(length) });
});

test("a certificate without its key is refused before anything is dialed", () => {
  for (const tls of [{ cert: own.cert }, { key: own.key }]) {
    assert.throws(() => channelOf({ tls }), { reason: "CONFIG_INVALID", message: /cert and key/ });
  }
});
