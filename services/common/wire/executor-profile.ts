import type { Capability as CapabilityMessage, Hello } from "../../../gen/jobmesh/v1/executor_service.ts";
import type { Capability } from "../domain/executor.ts";
import type { ExecutorId, Incarnation } from "../domain/identifier.ts";
import type { HelloMessage } from "../domain/session.ts";
import { keyFromMessage, keyToMessage } from "./attempt-key.ts";

/** Hello for the wire. */
export function helloToMessage(hello: HelloMessage): Hello {
  const { profile } = hello;
  return {
    executorId: profile.executorId,
    incarnation: profile.incarnation,
    version: profile.version,
    slots: profile.slots,
    labels: { ...profile.labels },
    capabilities: profile.capabilities.map(capabilityToMessage),
    lane: profile.lane ?? undefined,
    taken: hello.taken.map(keyToMessage),
    namespaces: [...profile.namespaces],
    sessionNumber: BigInt(hello.sessionNumber),
    previousIncarnation: hello.previousIncarnation ?? "",
    registered: profile.registered,
  };
}

/**
 * Reads a Hello. A capability of a kind that this version does not know keeps its
 * place, which SlotCount names, and matches nothing. Throws
 * TypeError when a key of `taken` names no attempt.
 */
export function helloFromMessage(hello: Hello): HelloMessage {
  return {
    kind: "hello",
    profile: {
      executorId: hello.executorId as ExecutorId,
      incarnation: hello.incarnation as Incarnation,
      version: hello.version,
      slots: hello.slots,
      labels: hello.labels,
      capabilities: hello.capabilities.map(capabilityFromMessage),
      namespaces: hello.namespaces,
      lane: hello.lane ?? null,
      registered: hello.registered,
    },
    sessionNumber: Number(hello.sessionNumber),
    taken: hello.taken.map(keyFromMessage),
    previousIncarnation: hello.previousIncarnation === "" ? null : (hello.previousIncarnation as Incarnation),
  };
}

function capabilityToMessage(capability: Capability): CapabilityMessage {
  if (capability.kind !== "handler") return { kind: { $case: capability.kind, value: true } };
  const { method, descriptorHash, slots } = capability;
  return { kind: { $case: "handler", value: { method, descriptorHash: Buffer.from(descriptorHash, "hex"), slots } } };
}

/** One that is not known becomes a handler without a method, which no route names: the places behind it stay. */
function capabilityFromMessage(message: CapabilityMessage): Capability {
  const { kind } = message;
  if (kind === undefined) return { kind: "handler", method: "", descriptorHash: "", slots: 0 };
  if (kind.$case !== "handler") return { kind: kind.$case };
  const { method, descriptorHash, slots } = kind.value;
  return { kind: "handler", method, descriptorHash: descriptorHash.toString("hex"), slots };
}
