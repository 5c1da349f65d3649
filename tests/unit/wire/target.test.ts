import assert from "node:assert/strict";
import { test } from "node:test";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { targetToBasicMessage, targetToMessage } from "../../../services/common/wire/target.ts";
import { targetOfBytes } from "../../../services/common/wire/target-head.ts";

const targets: readonly (readonly [Target, string, string])[] = [
  [
    one({
      $case: "command",
      value: {
        command: "echo",
        args: ["a"],
        env: { A: "1" },
        workingDirectory: "/w",
        input: { $case: "stdinText", value: "in" },
      },
    }),
    "echo",
    "",
  ],
  [
    one({ $case: "handler", value: { method: "a.B/C", payload: { $case: "request", value: Buffer.from([1]) } } }),
    "a.B/C",
    "a.B/C",
  ],
  [
    one({
      $case: "grpc",
      value: { address: "dns:///a", method: "a.B/C", payload: undefined, metadata: { k: "v" }, tls: undefined },
    }),
    "a.B/C",
    "",
  ],
  [
    one({
      $case: "http",
      value: { url: "http://h/p", method: "GET", headers: { H: "v" }, content: { $case: "text", value: "x" } },
    }),
    "http://h/p",
    "",
  ],
];

function one(kind: NonNullable<Target["kind"]>): Target {
  return { kind };
}

test("what stands beside a target's bytes is read without decoding it, and the bytes give all of it back", () => {
  for (const [message, summary, method] of targets) {
    const bytes = Target.encode(message).finish();
    const target = targetOfBytes(bytes);
    assert.deepEqual(
      [target.kind, target.summary, target.method, target.bytes],
      [message.kind?.$case, summary, method, bytes],
    );
    assert.deepEqual(targetToMessage(target), message);
  }
});

test("of two kinds the last one counts, as in all of protobuf, and unknown fields are passed over", () => {
  const [first, second] = targets.map(([message]) => Target.encode(message).finish());
  const bytes = Buffer.concat([first ?? Buffer.alloc(0), Buffer.from([0x78, 1]), second ?? Buffer.alloc(0)]);
  assert.equal(targetOfBytes(bytes).kind, "handler");
  assert.equal(Target.decode(bytes).kind?.$case, "handler");
});

test("bytes that name no kind, or are cut, are a TypeError or RangeError and never a target", () => {
  assert.throws(() => targetOfBytes(new Uint8Array()), TypeError);
  assert.throws(() => targetOfBytes(Uint8Array.of(0x78, 1)), TypeError);
  assert.throws(() => targetOfBytes(Uint8Array.of(0x0a, 9, 1)));
});

test("a BASIC target has its name for people, and no payload, env, header or metadata", () => {
  for (const [message, summary] of targets) {
    const basic = targetToBasicMessage(targetOfBytes(Target.encode(message).finish()));
    assert.equal(basic.kind?.$case, message.kind?.$case);
    const text = JSON.stringify(Target.toJSON(basic));
    assert.ok(text.includes(summary));
    assert.doesNotMatch(text, /"(A|H|k)":|stdin|request|content|"text"/);
  }
});
