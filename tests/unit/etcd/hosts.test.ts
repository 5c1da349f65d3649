import assert from "node:assert/strict";
import { test } from "node:test";
import { Hosts } from "../../../services/common/adapter/etcd/hosts.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/** What a host does when it is asked. */
type Conduct = "answers" | "hangs" | "refuses" | "says no";

const TRY_MS = 500;
const LATE_MS = 80;

class Answer extends Error {}

function setup(conduct: Record<string, Conduct>, { drawn = 0, lateMs = 0 } = {}) {
  const clock = new ManualClock();
  const random = Object.assign(new SystemRandom(), { unit: () => drawn });
  const names = Object.keys(conduct);
  const hosts = new Hosts({ clock, random }, names, {
    minTries: Math.min(names.length, 2),
    maxTries: Math.max(names.length, 2),
    budgetMs: names.length > 1 ? TRY_MS : TRY_MS / 5,
    isAnswer: (thrown) => thrown instanceof Answer,
  });
  const asked: string[] = [];
  const ask = async (host: string): Promise<string> => {
    asked.push(host);
    if (conduct[host] === "hangs") await clock.sleep(TRY_MS + lateMs);
    if (conduct[host] === "says no") throw new Answer("no");
    if (conduct[host] !== "answers") throw new Error(`${host} ${conduct[host]}`);
    return host;
  };
  return {
    clock,
    conduct,
    hosts,
    call: () => hosts.call(ask),
    /** The hosts that were asked since the last time. */
    asked: () => asked.splice(0).join(" "),
  };
}

test("a call that meets a host that hangs is answered by the other, and no later one goes to the first again", async () => {
  const { clock, call, asked } = setup({ a: "hangs", b: "answers" });
  const first = call();
  await clock.advance(TRY_MS);
  assert.equal(await first, "b");
  assert.equal(asked(), "a b");
  for (let round = 0; round < 10; round += 1) assert.equal(await call(), "b");
  assert.equal(asked(), "b ".repeat(10).trimEnd());
});

test("the other host is asked however late the first one's failure was known", async () => {
  const { clock, call } = setup({ a: "hangs", b: "answers" }, { lateMs: LATE_MS });
  const first = call();
  await clock.advance(TRY_MS + LATE_MS);
  assert.equal(await first, "b");
});

test("calls that meet the host at once leave it together", async () => {
  const { clock, call, asked } = setup({ a: "hangs", b: "answers", c: "hangs" });
  const both = Promise.all([call(), call()]);
  await clock.advance(TRY_MS);
  assert.deepEqual(await both, ["b", "b"]);
  assert.equal(asked(), "a a b b");
});

test("of hosts that hang two are asked in a call, and the next call begins with the third", async () => {
  const { clock, call, asked } = setup({ a: "hangs", b: "hangs", c: "answers" });
  const first = assert.rejects(call(), /b hangs/);
  await clock.advance(2 * TRY_MS);
  await first;
  assert.equal(asked(), "a b");
  assert.equal(await call(), "c");
});

test("hosts that refuse are all asked, each once", async () => {
  const { call, asked } = setup({ a: "refuses", b: "refuses", c: "refuses" });
  await assert.rejects(call(), /c refuses/);
  assert.equal(asked(), "a b c");
});

test("a host that was left is asked again when the other fails", async () => {
  const { conduct, call, asked } = setup({ a: "refuses", b: "answers" });
  await call();
  conduct.a = "answers";
  conduct.b = "refuses";
  assert.equal(await call(), "a");
  assert.equal(asked(), "a b b a");
});

test("what etcd says is given back: no other host is asked, then or next", async () => {
  const { call, asked } = setup({ a: "says no", b: "answers" });
  await assert.rejects(call(), Answer);
  await assert.rejects(call(), Answer);
  assert.equal(asked(), "a a");
});

test("a single host that refuses is asked twice at once, one that hangs once", async () => {
  const { clock, conduct, call, asked } = setup({ a: "refuses" });
  await assert.rejects(call(), /a refuses/);
  assert.equal(asked(), "a a");
  conduct.a = "hangs";
  const hanging = assert.rejects(call(), /a hangs/);
  await clock.advance(TRY_MS);
  await hanging;
  assert.equal(asked(), "a");
});

test("the first host is drawn; one that was left already is not left twice", () => {
  const { hosts } = setup({ a: "answers", b: "answers", c: "answers" }, { drawn: 0.999 });
  assert.equal(hosts.first, "c");
  hosts.leave("c");
  hosts.leave("c");
  assert.equal(hosts.first, "a");
});
