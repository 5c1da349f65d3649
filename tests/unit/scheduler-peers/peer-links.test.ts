/** Links between schedulers over real gRPC. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { LogStream } from "../../../gen/jobmesh/v1/execution_service.ts";
import { LinkRequest, PeerServiceService } from "../../../gen/jobmesh/v1/peer_service.ts";
import type { ExecutionId, ExecutorId, JobUid, RouteId } from "../../../services/common/domain/identifier.ts";
import { routeIdOf, routeText } from "../../../services/common/domain/route.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { RouteBook } from "../../../services/scheduler/dispatch/route-book.ts";
import { type Hint, type HintOrigin, Hints } from "../../../services/scheduler/hints.ts";
import { PeerLinks } from "../../../services/scheduler/peers/peer-links.ts";

const KINDS = ["ready", "free", "stop", "drain", "ended", "changed", "due", "output"] as const;
const ended = (name: string): Hint => ({ kind: "ended", executionId: name as ExecutionId });
const text = routeText({ kind: "command", method: "", namespace: "default", labels: { zone: "b" }, pin: null });
const routeId = routeIdOf(text);

type Heard = { readonly hint: Hint; readonly origin: HintOrigin };

/** One scheduler's links, and what all of its parts hear. */
class TestPeer {
  readonly hints = new Hints();
  readonly heard: Heard[] = [];
  readonly known: Set<string>;
  readonly links: PeerLinks;
  /** Times that the store was asked for routes. */
  asked = 0;
  address = "";
  server: RpcServer;
  readonly #clock = new SystemClock();
  readonly #changes = new Set<() => void>();
  readonly #waiting = new Set<() => void>();

  constructor(known: Set<string>) {
    this.known = known;
    for (const kind of KINDS) {
      this.hints.on(kind, (hint, origin) => {
        this.heard.push({ hint, origin });
        for (const look of this.#waiting) look();
      });
    }
    const peers = {
      peers: () =>
        [...known]
          .filter((address) => address !== this.address)
          .map((address) => ({ schedulerId: address, address, version: "", shardCount: 0, startUs: 0 })),
      onChange: (listener: () => void) => {
        this.#changes.add(listener);
        return () => this.#changes.delete(listener);
      },
    };
    const routes = new RouteBook({
      ensure: async () => {},
      texts: async (ids) => {
        this.asked += 1;
        return new Map(ids.filter((id) => id === routeId).map((id) => [id, text]));
      },
    });
    const open = (address: string) => {
      const channel = new RpcChannel({ clock: this.#clock }, { target: address });
      return { stream: channel.bidi(PeerServiceService.link), close: () => channel.close() };
    };
    this.links = new PeerLinks({ peers, hints: this.hints, open, routes, clock: this.#clock, log: silentLogger });
    this.server = this.#newServer();
  }

  async start(port = 0): Promise<void> {
    this.server = this.#newServer(port);
    this.address = (await this.server.start()).address;
    this.known.add(this.address);
    this.links.start();
  }

  changed(): void {
    for (const change of this.#changes) change();
  }

  /** Resolves when enough of a kind came from peers. */
  async hears(wanted: (hint: Hint) => boolean, count = 1): Promise<void> {
    const seen = (): number => this.heard.filter(({ hint, origin }) => origin === "peer" && wanted(hint)).length;
    if (seen() >= count) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (seen() >= count) resolve();
    };
    this.#waiting.add(look);
    await promise;
    this.#waiting.delete(look);
  }

  /** Tells a hint until the other has heard it: links are made meanwhile. */
  async reaches(other: TestPeer, name: string): Promise<void> {
    const heard = other.hears((hint) => hint.kind === "ended" && hint.executionId === name);
    let isHeard = false;
    void heard.then(() => {
      isHeard = true;
    });
    while (!isHeard) {
      this.hints.tell(ended(name));
      await Promise.race([heard, this.#clock.sleep(20)]);
    }
  }

  async stop(): Promise<void> {
    await this.links.stop();
    await this.server.stop(0);
  }

  #newServer(port = 0): RpcServer {
    const server = new RpcServer({ log: silentLogger, clock: this.#clock }, { listen: `127.0.0.1:${port}` });
    server.addService(PeerServiceService, { link: (stream, context) => this.links.serve(stream, context) });
    return server;
  }
}

async function peers(t: TestContext, count: number): Promise<[TestPeer, TestPeer, ...TestPeer[]]> {
  const known = new Set<string>();
  const all = Array.from({ length: count }, () => new TestPeer(known));
  t.after(() => Promise.all(all.map((peer) => peer.stop())));
  for (const peer of all) await peer.start();
  for (const peer of all) peer.changed();
  for (const from of all) {
    for (const to of all) if (from !== to) await from.reaches(to, `${all.indexOf(from)}-${all.indexOf(to)}`);
  }
  for (const peer of all) peer.heard.length = 0;
  return all as [TestPeer, TestPeer, ...TestPeer[]];
}

test("rule 31: a hint of each kind reaches each peer once and is not sent on", async (t) => {
  const [first, second, third] = await peers(t, 3);
  assert.ok(third !== undefined);
  const key = { executionId: "e" as ExecutionId, attempt: 1, fence: 7n as never };
  const piece = { key, stream: "STDOUT", sequence: 1, data: Buffer.from("x"), timeUs: 1_000, droppedBytes: 0 } as const;
  const hints: Hint[] = [
    { kind: "ready", routeId, bestRank: 400, count: 3 },
    { kind: "free" },
    { kind: "stop", executionId: "e-1" as ExecutionId },
    { kind: "drain", executorId: "x-1" as ExecutorId },
    { kind: "changed", jobUid: "j-1" as JobUid },
    { kind: "output", piece: { ...piece, level: "UNSPECIFIED", fieldsJson: "", spanId: "" } },
    { kind: "due", executionId: "e-1" as ExecutionId, readyUs: 1 },
    ended("last"),
  ];
  await first.links.stop();
  first.links.start();
  await first.reaches(second, "again");
  await first.reaches(third, "again");
  await first.hints.tell({ kind: "ready", routeId, bestRank: 0, count: 1 });
  await second.hears(({ kind }) => kind === "ready");
  await third.hears(({ kind }) => kind === "ready");
  for (const peer of [first, second, third]) peer.heard.length = 0;
  for (const hint of hints) first.hints.tell(hint);
  for (const peer of [second, third]) await peer.hears((hint) => hint.kind === "ended" && hint.executionId === "last");
  const shared = hints.filter(({ kind }) => kind !== "due");
  for (const peer of [second, third]) {
    const kinds = peer.heard.map(({ hint }) => hint.kind);
    assert.deepEqual(
      kinds,
      shared.map(({ kind }) => kind),
    );
    assert.ok(peer.heard.every(({ origin }) => origin === "peer"));
    assert.deepEqual(peer.heard[0]?.hint, hints[0]);
    assert.deepEqual(peer.heard[2]?.hint, hints[2]);
  }
  // What peers would have sent on would be here by the time their own hints are.
  second.hints.tell(ended("answer"));
  third.hints.tell(ended("answer"));
  await first.hears((hint) => hint.kind === "ended" && hint.executionId === "answer", 2);
  assert.equal(first.heard.filter(({ origin }) => origin === "peer").length, 2);
});

test("rule 31: a ready hint whose route is not known here is told once the store has given it", async (t) => {
  const [first, second] = await peers(t, 2);
  const unknown = routeIdOf("unknown") as RouteId;
  for (let time = 0; time < 5; time += 1) first.hints.tell({ kind: "ready", routeId, bestRank: 10 - time, count: 2 });
  first.hints.tell({ kind: "ready", routeId: unknown, bestRank: 0, count: 1 });
  await second.hears(({ kind }) => kind === "ready");
  first.hints.tell(ended("after"));
  await second.hears(({ kind }) => kind === "ended");
  assert.deepEqual(
    second.heard.map(({ hint }) => hint).filter(({ kind }) => kind === "ready"),
    [{ kind: "ready", routeId, bestRank: 6, count: 10 }],
  );
  assert.equal(first.asked, 1);
});

test("a peer that leaves is dropped, and one that comes back under its address is dialled again", async (t) => {
  const [first, second] = await peers(t, 2);
  const port = Number(second.address.split(":").at(-1));
  await second.stop();
  // Nobody is there: its hints are lost, and nothing else.
  first.hints.tell(ended("lost"));
  await second.start(port);
  await first.reaches(second, "back");
  await second.reaches(first, "back");
  second.known.delete(second.address);
  first.changed();
  second.heard.length = 0;
  first.links.runOnce();
  first.hints.tell(ended("gone"));
  second.hints.tell(ended("own"));
  await first.hears((hint) => hint.kind === "ended" && hint.executionId === "own");
  assert.deepEqual(
    second.heard.filter(({ origin }) => origin === "peer"),
    [],
  );
});

test("start and stop are idempotent, and a stopped one sends nothing", async (t) => {
  const [first, second] = await peers(t, 2);
  first.links.start();
  first.hints.tell(ended("once"));
  first.hints.tell(ended("end"));
  await second.hears((hint) => hint.kind === "ended" && hint.executionId === "end");
  assert.equal(second.heard.length, 2);
  await first.links.stop();
  await first.links.stop();
  first.hints.tell(ended("never"));
  second.hints.tell(ended("mark"));
  await first.hears((hint) => hint.kind === "ended" && hint.executionId === "mark");
  assert.equal(second.heard.filter(({ origin }) => origin === "peer").length, 2);
});

test("a hint that names nothing that can be ends its link as malformed; other links stand", async (t) => {
  const [one, two] = await peers(t, 2);
  const channel = new RpcChannel({ clock: new SystemClock() }, { target: one.address });
  t.after(() => channel.close());
  const key = { attempt: 1, fence: 7n };
  const output = (executionId: string, stream: LogStream = LogStream.LOG_STREAM_STDOUT) =>
    ({ $case: "output", value: { stream, key: { ...key, executionId } } }) as const;
  const kinds = [
    output(""),
    output("e", LogStream.LOG_STREAM_UNSPECIFIED),
    output("é"),
    { $case: "endedExecutionId", value: "é" },
    { $case: "stopExecutionId", value: "" },
    { $case: "drainExecutorId", value: "x y" },
    { $case: "changedJobUid", value: "é" },
  ] as const;
  for (const kind of kinds) {
    const link = channel.bidi(PeerServiceService.link);
    const closed = new Promise((resolve) => link.onClosed((error) => resolve(error?.reason)));
    link.send(LinkRequest.fromPartial({ hint: { kind } }));
    assert.equal(await closed, "MALFORMED_REQUEST");
  }
  await two.reaches(one, "after");
});
