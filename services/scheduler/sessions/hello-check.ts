import { type Capability, type ExecutorProfile, MAX_LANES } from "../../common/domain/executor.ts";
import { IDENTIFIER_PATTERN } from "../../common/domain/identifier.ts";
import type { HelloMessage } from "../../common/domain/session.ts";
import { type FieldViolation, JobmeshError } from "../../common/error/jobmesh-error.ts";
import { isMethod, MAX_METHOD_CHARACTERS } from "../api/method-check.ts";

/** Attempts that an executor can run at once. */
export const MAX_SLOTS = 100_000;
/** Kinds of targets and handlers of one executor. */
export const MAX_CAPABILITIES = 1_000;
/** Namespaces that one executor names. */
export const MAX_NAMESPACES = 1_000;
/** Labels of one executor, and the length of their keys and values. */
export const MAX_LABELS = 64;
const MAX_LABEL_CHARACTERS = 63;
const MAX_VERSION_CHARACTERS = 64;
/** Slots and kept results together, with room to spare. */
export const MAX_TAKEN_KEYS = 200_000;

const HASH_PATTERN = /^[0-9a-f]{64}$/;
const IDENTIFIER_RULE = "must be 1 to 64 of [A-Za-z0-9._-]";

type Report = (field: string, description: string) => void;

/** Checks a Hello. Throws INVALID_FIELD that names every field at fault. */
export function checkHello(hello: HelloMessage): void {
  const faults: FieldViolation[] = [];
  const report: Report = (field, description) => {
    faults.push({ field: `hello.${field}`, description });
  };
  checkProfile(hello.profile, report);
  if (!Number.isSafeInteger(hello.sessionNumber) || hello.sessionNumber < 1) {
    report("session_number", `must be at least 1; was ${hello.sessionNumber}`);
  }
  if (hello.taken.length > MAX_TAKEN_KEYS) {
    report("taken", `must be at most ${MAX_TAKEN_KEYS} attempts; were ${hello.taken.length}`);
  }
  checkPrevious(hello, report);
  if (faults.length > 0) throw JobmeshError.invalid(...faults);
}

function checkPrevious({ previousIncarnation, profile }: HelloMessage, report: Report): void {
  if (previousIncarnation === null) return;
  if (!IDENTIFIER_PATTERN.test(previousIncarnation)) report("previous_incarnation", IDENTIFIER_RULE);
  if (previousIncarnation === profile.incarnation) {
    report("previous_incarnation", "must be another than incarnation");
  }
}

function checkProfile(profile: ExecutorProfile, report: Report): void {
  if (!IDENTIFIER_PATTERN.test(profile.executorId)) report("executor_id", IDENTIFIER_RULE);
  if (!IDENTIFIER_PATTERN.test(profile.incarnation)) report("incarnation", IDENTIFIER_RULE);
  if (profile.version.length > MAX_VERSION_CHARACTERS) {
    report("version", `must be at most ${MAX_VERSION_CHARACTERS} characters; was ${profile.version.length}`);
  }
  if (!Number.isInteger(profile.slots) || profile.slots < 1 || profile.slots > MAX_SLOTS) {
    report("slots", `must be 1 to ${MAX_SLOTS}; was ${profile.slots}`);
  }
  const { lane } = profile;
  if (lane !== null && (!Number.isInteger(lane) || lane < 0 || lane >= MAX_LANES)) {
    report("lane", `must be 0 to ${MAX_LANES - 1}; was ${lane}`);
  }
  checkLabels(profile.labels, report);
  checkNamespaces(profile.namespaces, report);
  checkCapabilities(profile, report);
}

function checkLabels(labels: Readonly<Record<string, string>>, report: Report): void {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) report("labels", `must be at most ${MAX_LABELS}; were ${entries.length}`);
  for (const [key, value] of entries.slice(0, MAX_LABELS)) {
    if (key === "" || key.length > MAX_LABEL_CHARACTERS) {
      report(`labels[${key.slice(0, MAX_LABEL_CHARACTERS)}]`, `key must be 1 to ${MAX_LABEL_CHARACTERS} characters`);
    }
    if (value.length > MAX_LABEL_CHARACTERS) {
      report(`labels[${key}]`, `value must be at most ${MAX_LABEL_CHARACTERS} characters; was ${value.length}`);
    }
  }
}

function checkNamespaces(namespaces: readonly string[], report: Report): void {
  if (namespaces.length > MAX_NAMESPACES) {
    report("namespaces", `must be at most ${MAX_NAMESPACES}; were ${namespaces.length}`);
  }
  for (const [index, namespace] of namespaces.slice(0, MAX_NAMESPACES).entries()) {
    if (!IDENTIFIER_PATTERN.test(namespace)) report(`namespaces[${index}]`, IDENTIFIER_RULE);
  }
}

function checkCapabilities({ capabilities, slots }: ExecutorProfile, report: Report): void {
  if (capabilities.length > MAX_CAPABILITIES) {
    report("capabilities", `must be at most ${MAX_CAPABILITIES}; were ${capabilities.length}`);
  }
  const seen = new Set<string>();
  for (const [index, capability] of capabilities.slice(0, MAX_CAPABILITIES).entries()) {
    const field = `capabilities[${index}]`;
    // A kind that this version does not know keeps its place and matches nothing.
    if (capability.kind === "handler" && capability.method === "" && capability.descriptorHash === "") continue;
    const name = capability.kind === "handler" ? capability.method : capability.kind;
    if (seen.has(name)) report(field, `names ${name} a second time`);
    seen.add(name);
    if (capability.kind === "handler") checkHandler(capability, slots, `${field}.handler`, report);
  }
}

function checkHandler(
  handler: Capability & { readonly kind: "handler" },
  executorSlots: number,
  field: string,
  report: Report,
): void {
  if (!isMethod(handler.method)) {
    report(`${field}.method`, `must be "package.Service/Method" of at most ${MAX_METHOD_CHARACTERS} characters`);
  }
  // One that was registered without descriptors has none.
  if (handler.descriptorHash !== "" && !HASH_PATTERN.test(handler.descriptorHash)) {
    report(`${field}.descriptor_hash`, "must be a SHA-256 of 32 bytes, or empty");
  }
  if (!Number.isInteger(handler.slots) || handler.slots < 0 || handler.slots > executorSlots) {
    report(`${field}.slots`, `must be 0 to the executor's ${executorSlots}; was ${handler.slots}`);
  }
}
