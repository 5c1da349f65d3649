import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { HttpServer, type Readiness } from "../../../services/common/runtime/http-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";

async function setup(overrides: { renderMetrics?: () => Promise<string> } = {}) {
  let checks: Readiness = { store: true };
  const renderMetrics = overrides.renderMetrics ?? (() => Promise.resolve("up 1\n"));
  const server = new HttpServer(
    { log: silentLogger, renderMetrics, readiness: () => checks },
    { listen: "127.0.0.1:0" },
  );
  const { address } = await server.start();
  return {
    server,
    address,
    get: (path: string, method = "GET") => fetch(`http://${address}${path}`, { method }),
    setChecks: (next: Readiness) => {
      checks = next;
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

test("metrics, health and readiness are served, and nothing else", async () => {
  await using http = await setup();
  const metrics = await http.get("/metrics");
  assert.equal(await metrics.text(), "up 1\n");
  assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  assert.equal((await http.get("/healthz?x=1")).status, 200);
  assert.equal((await http.get("/")).status, 404);
  assert.equal((await http.get("/metrics/../healthz2")).status, 404);
  assert.equal((await http.get("/metrics", "POST")).status, 405);
  const head = await http.get("/metrics", "HEAD");
  assert.deepEqual([head.status, await head.text()], [200, ""]);
});

test("a part that is not ready makes 503, and says which", async () => {
  await using http = await setup();
  assert.equal((await http.get("/readyz")).status, 200);
  http.setChecks({ store: false, registry: true });
  const response = await http.get("/readyz");
  assert.equal(response.status, 503);
  assert.deepEqual(await response.json(), { ready: false, checks: { store: false, registry: true } });
  assert.equal((await http.get("/healthz")).status, 200);
});

test("metrics that fail are a 500 without the reason", async () => {
  await using http = await setup({ renderMetrics: () => Promise.reject(new TypeError("secret")) });
  const response = await http.get("/metrics");
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /secret/);
});

test("the same listening rules hold as for gRPC", async () => {
  await using http = await setup();
  const at = (listen: string) =>
    new HttpServer({ log: silentLogger, renderMetrics: () => Promise.resolve(""), readiness: () => ({}) }, { listen });
  await assert.rejects(at("0.0.0.0:0").start(), { reason: "LISTENER_INSECURE" });
  await assert.rejects(at(http.address).start(), { reason: "ADDRESS_IN_USE" });
});

test("stop cuts connections that stand idle", async () => {
  const http = await setup();
  const [, port] = http.address.split(":");
  const socket = connect(Number(port), "127.0.0.1");
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.resume();
  await Promise.all([http.server.stop(), http.server.stop(), closed]);
});

test("64 connections are served at once; one more is cut", async (t) => {
  await using http = await setup();
  const [host = "", port = ""] = http.address.split(":");
  const open = async (): Promise<Socket> => {
    const socket = connect(Number(port), host);
    t.after(() => socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  const ask = async (socket: Socket): Promise<string> => {
    socket.write("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    return answer.toString().slice(0, 15);
  };
  for (let count = 0; count < 64; count++) assert.equal(await ask(await open()), "HTTP/1.1 200 OK");
  const more = await open();
  more.resume();
  more.on("error", () => {});
  await once(more, "close");
});
