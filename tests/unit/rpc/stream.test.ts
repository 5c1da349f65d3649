import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import {
  ExecutionServiceService as Executions,
  GetExecutionRequest,
  ReadLogsRequest,
  ReadLogsResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { LinkRequest, LinkResponse, PeerServiceService } from "../../../gen/jobmesh/v1/peer_service.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { CallContext, DuplexStream } from "../../../services/common/rpc/contract.ts";
import { deferred, setup } from "./setup.ts";

const { link } = PeerServiceService;

function ask(text: string): LinkRequest {
  return LinkRequest.fromPartial({ hint: { kind: { $case: "changedJobUid", value: text } } });
}

function answer(text: string): LinkResponse {
  return LinkResponse.fromPartial({ hint: { kind: { $case: "changedJobUid", value: text } } });
}

function text(message: LinkRequest | LinkResponse): string {
  const kind = message.hint?.kind;
  return kind?.$case === "changedJobUid" ? kind.value : "";
}

type ServerStream = DuplexStream<LinkRequest, LinkResponse>;

async function linked(onOpen: (stream: ServerStream, context: CallContext) => void, limits = {}) {
  return await setup({ peer: { link: onOpen }, ...limits });
}

test("messages go both ways in order, and an orderly end closes both sides without error", async () => {
  const serverClosed = deferred<JobmeshError | null>();
  await using mesh = await linked((stream) => {
    stream.onMessage((message) => stream.send(answer(`re ${text(message)}`)));
    stream.onEnd(() => stream.end());
    stream.onClosed(serverClosed.resolve);
  });
  const stream = mesh.channel.bidi(link);
  const closed = deferred<JobmeshError | null>();
  const got: string[] = [];
  stream.onMessage((message) => got.push(text(message)));
  stream.onClosed(closed.resolve);
  for (let count = 0; count < 500; count++) stream.send(ask(String(count)));
  stream.end();
  assert.equal(await closed.promise, null);
  assert.equal(await serverClosed.promise, null);
  assert.deepEqual(
    got,
    Array.from({ length: 500 }, (_, count) => `re ${count}`),
  );
});

test("the server's failure reaches the client after what was sent before it", async () => {
  await using mesh = await linked((stream) => {
    stream.onMessage(() => {
      stream.send(answer("last"));
      stream.fail(new JobmeshError("SESSION_SUPERSEDED"));
    });
  });
  const stream = mesh.channel.bidi(link);
  const closed = deferred<JobmeshError | null>();
  const got: string[] = [];
  stream.onMessage((message) => got.push(text(message)));
  stream.onClosed(closed.resolve);
  stream.send(ask("x"));
  assert.equal((await closed.promise)?.reason, "SESSION_SUPERSEDED");
  assert.deepEqual(got, ["last"]);
});

test("a handler that throws while it takes a message fails the stream", async () => {
  await using mesh = await linked((stream) => {
    stream.onMessage(() => {
      throw new JobmeshError("PROTOCOL_VIOLATION");
    });
  });
  const stream = mesh.channel.bidi(link);
  const closed = deferred<JobmeshError | null>();
  stream.onMessage(() => {});
  stream.onClosed(closed.resolve);
  stream.send(ask("x"));
  assert.equal((await closed.promise)?.reason, "PROTOCOL_VIOLATION");
});

test("bytes that are no message fail the stream as MALFORMED_REQUEST", async () => {
  await using mesh = await linked((stream) => stream.onMessage(() => assert.fail("must not be given")));
  const stream = mesh.channel.bidi({ ...link, requestSerialize: () => Buffer.from([0x0a, 0xff]) });
  const closed = deferred<JobmeshError | null>();
  stream.onMessage(() => {});
  stream.onClosed(closed.resolve);
  stream.send(ask("x"));
  assert.equal((await closed.promise)?.reason, "MALFORMED_REQUEST");
});

test("the server hears when the client fails or aborts its stream", async () => {
  for (const way of ["fail", "signal"] as const) {
    const opened = deferred();
    const serverClosed = deferred<JobmeshError | null>();
    const aborted = deferred();
    await using mesh = await linked((stream, { signal }) => {
      stream.onMessage(() => opened.resolve());
      stream.onClosed(serverClosed.resolve);
      signal.addEventListener("abort", () => aborted.resolve());
    });
    const controller = new AbortController();
    const stream = mesh.channel.bidi(link, { signal: controller.signal });
    stream.onMessage(() => {});
    stream.send(ask("x"));
    await opened.promise;
    if (way === "fail") stream.fail(new JobmeshError("CANCELLED"));
    else controller.abort();
    assert.equal((await serverClosed.promise)?.reason, "CANCELLED");
    await aborted.promise;
    assert.equal(stream.closed, true);
  }
});

test("send says false at the soft limit, and drain comes when the reader reads on", async () => {
  const full = deferred<number>();
  const drained = deferred();
  const body = "x".repeat(4096);
  await using mesh = await linked(
    (stream) => {
      let sent = 0;
      stream.onDrain(() => drained.resolve());
      while (stream.send(answer(body))) sent++;
      full.resolve(sent);
    },
    { server: { streamLimits: { softBufferedMessages: 20, maxBufferedMessages: 1000 } } },
  );
  const stream = mesh.channel.bidi(link);
  stream.onClosed(() => {});
  stream.pause();
  const sent = await full.promise;
  assert.ok(sent >= 19 && sent < 1000, String(sent));
  stream.onMessage(() => {});
  await drained.promise;
});

test("a reader that stands still is cut off at the hard limit and told why", async () => {
  const serverClosed = deferred<JobmeshError | null>();
  const body = "x".repeat(4096);
  await using mesh = await linked(
    (stream) => {
      stream.onClosed(serverClosed.resolve);
      for (let count = 0; count < 300; count++) stream.send(answer(body));
    },
    { server: { streamLimits: { softBufferedMessages: 20, maxBufferedMessages: 200 } } },
  );
  const stream = mesh.channel.bidi(link);
  const closed = deferred<JobmeshError | null>();
  stream.onClosed(closed.resolve);
  assert.equal((await serverClosed.promise)?.reason, "SLOW_READER");
  let got = 0;
  stream.onMessage(() => got++);
  assert.equal((await closed.promise)?.reason, "SLOW_READER");
  assert.ok(got < 300);
});

test("ready waits for room in a server stream", async () => {
  const body = Buffer.alloc(8192);
  await using mesh = await setup({
    server: { streamLimits: { softBufferedMessages: 8, maxBufferedMessages: 16 } },
    execution: {
      readLogs: async (_, stream) => {
        for (let count = 0; count < 400; count++) {
          stream.send(ReadLogsResponse.fromPartial({ content: { $case: "data", value: body } }));
          await stream.ready();
        }
      },
    },
  });
  let seen = 0;
  for await (const _ of mesh.channel.serverStream(Executions.readLogs, ReadLogsRequest.create({}))) seen++;
  assert.equal(seen, 400);
});

test("a few large messages are enough to hold a sender back, and it goes on when they are gone", async () => {
  const LARGE = 1024 * 1024;
  let longest = 0;
  let held = 0;
  await using mesh = await setup({
    execution: {
      readLogs: async (_, stream) => {
        const content = { $case: "data", value: Buffer.alloc(LARGE) } as const;
        for (let count = 0; count < 40; count++) {
          const hasRoom = stream.send(ReadLogsResponse.fromPartial({ content }), LARGE);
          longest = Math.max(longest, stream.buffered);
          if (hasRoom) continue;
          held += 1;
          await stream.ready();
        }
      },
    },
  });
  let seen = 0;
  for await (const _ of mesh.channel.serverStream(Executions.readLogs, ReadLogsRequest.create({}))) seen++;
  assert.equal(seen, 40);
  assert.ok(held > 0, "the sender was held back");
  assert.ok(longest <= 6, `${longest} MiB waited`);
});

test("a client that stands still longer than the server's keepalive is told that the connection went", async () => {
  const entered = deferred();
  await using mesh = await setup({
    server: { keepaliveTimeMs: 50, keepaliveTimeoutMs: 50 },
    channel: { keepaliveTimeMs: 60_000, keepaliveTimeoutMs: 60_000 },
    execution: {
      getExecution: (_request, { signal }) => {
        entered.resolve();
        return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
    },
  });
  let ended = false;
  const call = mesh.channel.unary(Executions.getExecution, GetExecutionRequest.create({})).finally(() => {
    ended = true;
  });
  const standStill = (): void => {
    const until = performance.now() + 100;
    while (performance.now() < until);
    if (!ended) setImmediate(standStill);
  };
  await entered.promise;
  standStill();
  await assert.rejects(call, (error: JobmeshError) => error.reason === "PEER_UNAVAILABLE" && error.retryable);
});

test("both sides notice a peer that went silent, by keepalive", async () => {
  const sockets: Socket[] = [];
  let target = "";
  const silent = createServer((near) => {
    const [, port] = target.split(":");
    const far = connect(Number(port), "127.0.0.1");
    sockets.push(near, far);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const address = silent.address();
  assert.ok(typeof address === "object" && address !== null);
  const serverClosed = deferred<JobmeshError | null>();
  const opened = deferred();
  const quick = { keepaliveTimeMs: 100, keepaliveTimeoutMs: 100 };
  await using mesh = await setup({
    server: quick,
    channel: { ...quick, target: `127.0.0.1:${address.port}` },
    peer: {
      link: (stream) => {
        stream.onMessage(() => opened.resolve());
        stream.onClosed(serverClosed.resolve);
      },
    },
  });
  target = mesh.address;
  const stream = mesh.channel.bidi(link);
  const closed = deferred<JobmeshError | null>();
  stream.onMessage(() => {});
  stream.onClosed(closed.resolve);
  stream.send(ask("x"));
  await opened.promise;
  for (const socket of sockets) socket.unpipe().pause();
  assert.equal((await closed.promise)?.reason, "PEER_UNAVAILABLE");
  assert.equal((await serverClosed.promise)?.reason, "CANCELLED");
  for (const socket of sockets) socket.destroy();
  silent.close();
});
