import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MethodTypes } from "../../../services/common/wire/json-message.ts";
import {
  descriptorSet,
  type Field,
  inside,
  Label,
  type MadeService,
  scalar,
  Type,
} from "../../support/descriptor-sets.ts";

const METHOD = "acme.v1.Reports/Render";

function typesOf(messages: Readonly<Record<string, readonly Field[]>>, more: Partial<MadeService> = {}): MethodTypes {
  const made = { pkg: "acme.v1", service: "Reports", methods: ["Render"], messages, ...more };
  return new MethodTypes(descriptorSet(made).bytes);
}

/** What is said of two versions; the same, whichever is asked. */
function conflict(one: MethodTypes, other: MethodTypes): string | null {
  const found = one.conflictWith(other, METHOD);
  assert.equal(other.conflictWith(one, METHOD) === null, found === null);
  return found;
}

const ofField = (field: Field) => typesOf({ Request: [field] });
const repeated = { label: Label.REPEATED };

test("versions whose fields differ in names, number and order only read each other", () => {
  const one = typesOf({ Request: [scalar(1, Type.STRING), scalar(2, Type.INT64)] });
  const renamed = typesOf({ Request: [scalar(2, Type.INT64, { name: "sum" }), scalar(1, Type.STRING, { name: "t" })] });
  const more = typesOf({ Request: [scalar(1, Type.STRING), scalar(3, Type.BYTES)], Response: [scalar(9, Type.BOOL)] });
  for (const other of [one, renamed, more, typesOf({})]) assert.equal(conflict(one, other), null);
});

test("types that are the same on the wire do not conflict, others do", () => {
  const groups: readonly (readonly Type[])[] = [
    [Type.INT32, Type.INT64, Type.UINT32, Type.UINT64, Type.BOOL],
    [Type.SINT32, Type.SINT64],
    [Type.FIXED64, Type.SFIXED64],
    [Type.FIXED32, Type.SFIXED32],
    [Type.DOUBLE],
    [Type.FLOAT],
    [Type.STRING],
    [Type.BYTES],
  ];
  for (const group of groups) {
    for (const other of groups) {
      for (const left of group) {
        for (const right of other) {
          for (const label of [{}, repeated]) {
            const found = conflict(ofField(scalar(1, left, label)), ofField(scalar(1, right, label)));
            assert.equal(found === null, group === other, `${Type[left]} and ${Type[right]}: ${found}`);
          }
        }
      }
    }
  }
  const text = conflict(ofField(scalar(7, Type.STRING)), ofField(scalar(7, Type.INT64)));
  assert.equal(text, "field 7 of acme.v1.Request is text in one version and a varint in the other");
});

test("a field that is repeated in one version alone conflicts", () => {
  const found = conflict(ofField(scalar(1, Type.STRING)), ofField(scalar(1, Type.STRING, repeated)));
  assert.match(found ?? "", /field 1 .* is text in one version and repeated text in the other/);
});

test("messages are compared inside, in lists too, and the response as the request is", () => {
  const row = (type: Type) => ({ Request: [inside(1, ".acme.v1.Row", repeated)], Row: [scalar(4, type)] });
  assert.equal(conflict(typesOf(row(Type.INT32)), typesOf(row(Type.BOOL))), null);
  assert.match(conflict(typesOf(row(Type.INT32)), typesOf(row(Type.STRING))) ?? "", /field 4 of acme\.v1\.Row/);
  const answer = (type: Type) => typesOf({ Response: [scalar(1, type)] });
  assert.match(conflict(answer(Type.INT32), answer(Type.STRING)) ?? "", /field 1 of acme\.v1\.Response/);
  assert.match(conflict(typesOf(row(Type.INT32)), ofField(scalar(1, Type.BYTES, repeated))) ?? "", /message.*bytes/);
});

test("messages of other names but the same fields read each other, and those that hold themselves are compared once", () => {
  const tree = (name: string, type: Type) =>
    typesOf({ Request: [inside(1, `.acme.v1.${name}`)], [name]: [inside(1, `.acme.v1.${name}`), scalar(2, type)] });
  assert.equal(conflict(tree("Node", Type.INT32), tree("Tree", Type.INT64)), null);
  assert.match(conflict(tree("Node", Type.INT32), tree("Tree", Type.FLOAT)) ?? "", /field 2/);
});

test("a required field that the other version does not require conflicts", () => {
  const proto2 = { syntax: "proto2" } as const;
  const required = typesOf({ Request: [scalar(1, Type.STRING, { label: Label.REQUIRED })] }, proto2);
  const optional = typesOf({ Request: [scalar(1, Type.STRING)] }, proto2);
  assert.equal(conflict(required, required), null);
  assert.match(conflict(required, optional) ?? "", /required text/);
  assert.match(conflict(required, typesOf({}, proto2)) ?? "", /required in one version and not in the other/);
});

test("a comparison has an end: of messages made to have very many pairs it says so", () => {
  const ring = (name: string, size: number) =>
    Object.fromEntries(
      Array.from({ length: size }, (_, at) => [`${name}${at}`, [inside(1, `.acme.v1.${name}${(at + 1) % size}`)]]),
    );
  const one = typesOf({ Request: [inside(1, ".acme.v1.A0")], ...ring("A", 127) });
  const other = typesOf({ Request: [inside(1, ".acme.v1.B0")], ...ring("B", 113) });
  assert.match(conflict(one, other) ?? "", /more than 10000 messages/);
});

test("the whole contract reads itself", () => {
  const bytes = readFileSync(join(import.meta.dirname, "../../../gen/image.binpb"));
  const [one, other] = [new MethodTypes(bytes), new MethodTypes(bytes)];
  for (const method of one.methods()) assert.equal(one.conflictWith(other, method), null, method);
  assert.deepEqual(one.messagesOf("jobmesh.v1.JobService/GetJob"), {
    request: "jobmesh.v1.GetJobRequest",
    response: "jobmesh.v1.GetJobResponse",
  });
});
