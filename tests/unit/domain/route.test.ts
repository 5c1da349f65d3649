import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesRoute } from "../../../services/common/domain/executor.ts";
import type { ExecutorId } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import {
  parseRoute,
  type Route,
  routeIdOf,
  routeOf,
  routeText,
  TO_BE_PINNED,
  withoutPin,
} from "../../../services/common/domain/route.ts";
import { testProfile } from "../../support/executor-profile.ts";

const route: Route = { kind: "handler", method: "acme.Reports/Render", namespace: "default", labels: {}, pin: null };

test("rule 6: the order of labels does not matter to a route's text", () => {
  const one = routeText({ ...route, labels: { zone: "b", arch: "arm64", Zone: "c" } });
  const other = routeText({ ...route, labels: { Zone: "c", arch: "arm64", zone: "b" } });
  assert.equal(one, other);
});

test("rule 6: routes that differ in anything have other texts and other identifiers", () => {
  const routes: Route[] = [
    route,
    { ...route, kind: "grpc" },
    { ...route, method: "acme.Reports/Print" },
    { ...route, namespace: "other" },
    { ...route, labels: { a: "b" } },
    { ...route, labels: { a: "b", c: "d" } },
    { ...route, labels: { a: 'b","c' } },
    { ...route, pin: "executor-1" as ExecutorId },
  ];
  assert.equal(new Set(routes.map(routeText)).size, routes.length);
  assert.equal(new Set(routes.map((one) => routeIdOf(routeText(one)))).size, routes.length);
});

test("rule 6: a text can be read back", () => {
  const labels = { 日本: "語", 'quo"te': "a\\b", __proto__x: "1" };
  const full: Route = { ...route, labels, pin: "executor-1" as ExecutorId };
  assert.deepEqual(parseRoute(routeText(full)), full);
});

test("rule 6: an identifier is 63 bits, the same in every process and version", () => {
  const routeId = routeIdOf(routeText(route));
  assert.equal(routeText(route), '["handler","acme.Reports/Render","default",[],null]');
  assert.equal(routeId, 0n + routeIdOf('["handler","acme.Reports/Render","default",[],null]'));
  for (let index = 0; index < 1_000; index += 1) {
    const other = routeIdOf(`route ${index}`);
    assert.ok(other >= 0n && other < 2n ** 63n);
  }
  // SHA-256 of "abc" begins with ba7816bf8f01cfea.
  assert.equal(routeIdOf("abc"), 0xba7816bf8f01cfean >> 1n);
});

test("what is pinned to nobody has the route of its target, its namespace and its labels", () => {
  const policy = { ...defaultPolicy, executorLabels: { zone: "b" } };
  const target = { kind: "command", method: "" } as const;
  assert.deepEqual(routeOf({ target, namespace: "default", policy }), {
    kind: "command",
    method: "",
    namespace: "default",
    labels: { zone: "b" },
    pin: null,
  });
});

test("rule 32: what is to be pinned has a route of its own, which no executor matches until it has a pin", () => {
  const policy = { ...defaultPolicy, routingStrategy: "ROUND_ROBIN" } as const;
  const open = routeOf({ target: { kind: "command", method: "" }, namespace: "default", policy });
  assert.equal(open.pin, TO_BE_PINNED);
  assert.deepEqual(parseRoute(routeText(open)), open);
  assert.equal(matchesRoute(profile, open), false);
  assert.equal(matchesRoute(profile, withoutPin(open)), true);
  assert.deepEqual(withoutPin(command), command);
});

const profile = testProfile("executor-1", {
  labels: { zone: "b", arch: "arm64" },
  namespaces: ["default", "other"],
  capabilities: [{ kind: "command" }, { kind: "handler", method: "acme.Reports/Render", descriptorHash: "", slots: 0 }],
});
const command: Route = { kind: "command", method: "", namespace: "default", labels: {}, pin: null };
const matches: readonly (readonly [string, Route, boolean])[] = [
  ["a command in its namespace", command, true],
  ["a label that it has", { ...command, labels: { zone: "b" } }, true],
  ["a label of another value", { ...command, labels: { zone: "c" } }, false],
  ["a label that it has not", { ...command, labels: { gpu: "" } }, false],
  ["a namespace that it does not serve", { ...command, namespace: "third" }, false],
  ["a pin to it", { ...command, pin: "executor-1" as ExecutorId }, true],
  ["a pin to another", { ...command, pin: "executor-2" as ExecutorId }, false],
  ["a handler that it has", route, true],
  ["a handler that it has not", { ...route, method: "acme.Reports/Print" }, false],
  ["a kind that it has not", { ...command, kind: "http" }, false],
];
for (const [what, asked, expected] of matches) {
  test(`an executor ${expected ? "runs" : "does not run"} ${what}`, () => {
    assert.equal(matchesRoute(profile, asked), expected);
  });
}
