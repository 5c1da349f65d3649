import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback, parseHostPort } from "../../../services/common/config/listen-address.ts";
import {
  formatBytes,
  formatDuration,
  parseBytes,
  parseDuration,
  parseLabels,
} from "../../../services/common/config/value-text.ts";

test("durations are read in every unit and written in the largest", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["250ms", 250],
    ["1s", 1_000],
    ["1.5s", 1_500],
    ["1m30s", 90_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
  ];
  for (const [text, durationMs] of cases) {
    assert.equal(parseDuration(text), durationMs, text);
    assert.equal(parseDuration(formatDuration(durationMs)), durationMs, text);
  }
  assert.equal(formatDuration(90_000), "90s");
  for (const wrong of ["", "1", "s", "-1s", "1 s", "1s ", "1.0001ms", "1S", "99999999999999d"]) {
    assert.equal(parseDuration(wrong), null, wrong);
  }
});

test("sizes are read in powers of 1,024", () => {
  assert.equal(parseBytes("1000"), 1000);
  assert.equal(parseBytes("4MiB"), 4_194_304);
  assert.equal(formatBytes(4_194_304), "4MiB");
  assert.equal(formatBytes(1_000), "1000");
  for (const wrong of ["", "4MB", "4 MiB", "-1", "1.5KiB", "99999999999999GiB"])
    assert.equal(parseBytes(wrong), null, wrong);
});

test("labels may hold empty values and equal signs in values", () => {
  assert.deepEqual(parseLabels("a=1, b=x=y,c="), { a: "1", b: "x=y", c: "" });
  assert.deepEqual(parseLabels(""), {});
  for (const wrong of ["a", "=1", "a=1,a=2"]) assert.equal(parseLabels(wrong), null, wrong);
});

test("addresses with names, v4 and v6 are read", () => {
  assert.deepEqual(parseHostPort("[::1]:70"), { host: "::1", port: 70 });
  assert.deepEqual(parseHostPort("a-b.c:0"), { host: "a-b.c", port: 0 });
  for (const wrong of ["", "a", ":1", "a:65536", "a:-1", "::1:70", "http://a:1", "a:1/b"]) {
    assert.equal(parseHostPort(wrong), null, wrong);
  }
  assert.deepEqual(["localhost", "127.0.0.1", "::1", "0.0.0.0", "127.example.org", "10.0.0.1"].map(isLoopback), [
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});
