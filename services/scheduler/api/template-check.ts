import type { Target as TargetMessage } from "../../../gen/jobmesh/v1/job.ts";
import { type Parameters, parameterMap } from "../../common/domain/parameter.ts";
import { mayHoldTemplate, type TemplateValues } from "../../common/domain/template.ts";
import { TemplateFault, TextFiller, type TextKind } from "../../common/domain/text-filler.ts";
import { mapTexts } from "../../common/wire/target-texts.ts";
import type { FieldFaults } from "./field-faults.ts";

/** Longest payload, in bytes, as the contract says. */
export const MAX_PAYLOAD_BYTES = 256 * 1024;

/** What is known of the values that a target's templates will have. */
export type TemplateScope = {
  readonly labels: Readonly<Record<string, string>>;
  readonly parameters: Parameters;
  /** What a later call may still give: parameters that are missing; everything; nothing. */
  readonly open: "parameters" | "all" | "nothing";
};

/** A scope of which nothing is known yet. */
export const UNKNOWN_SCOPE: TemplateScope = { labels: {}, parameters: null, open: "all" };

/** Stands for what is not known: a text, a number, a part of a URL and base64. */
const STAND_IN = "0000";
/** What stands for a URL whose templates are at fault, so that nothing else is said of it. */
const STAND_IN_URL = "http://stand-in/";

/** The longest that each of them can get: what fits with them fits always. */
const LONGEST_VALUES: Omit<TemplateValues, "labels" | "parameters"> = {
  executionId: "00000000-0000-8000-8000-000000000000",
  attempt: 2_147_483_647,
  scheduledUs: 0,
  shardIndex: 2_147_483_647,
  shardCount: 2_147_483_647,
};

/** True when the JSON is not too large. */
export function checkJson(faults: FieldFaults, field: string, value: unknown): boolean {
  const size = Buffer.byteLength(JSON.stringify(value) ?? "");
  if (size <= MAX_PAYLOAD_BYTES) return true;
  faults.add(field, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${size}`);
  return false;
}

/**
 * The target as an attempt will see it, for every check that follows: with its
 * templates filled in as long as they can get, so that no fire and no retry meets
 * a limit later. A template that is none is noted by its field and its place
 * there. A JSON payload of which a value is not known yet is left out: the call
 * that gives the value checks it. The target itself where it holds no template,
 * for which two searches in its bytes are all that this costs.
 *
 * @param bytes the target's own
 */
export function sampleTarget(
  faults: FieldFaults,
  field: string,
  target: TargetMessage,
  bytes: Uint8Array,
  scope: TemplateScope,
): TargetMessage {
  if (!mayHoldTemplate(bytes)) return target;
  const { labels, parameters, open } = scope;
  let isJsonKnown = true;
  let usedStandIn = false;
  const filler = new TextFiller({
    values: { ...LONGEST_VALUES, labels, parameters: parameterMap(parameters) },
    secretOf: () => STAND_IN,
    standIn: (isParameter) => {
      if (open === "nothing" || (open === "parameters" && !isParameter)) return null;
      usedStandIn = true;
      return STAND_IN;
    },
  });
  const sample = mapTexts(target, (text, place) => {
    usedStandIn = false;
    let filled = standInOf(place.kind);
    try {
      filled = filler.fill(text, place.kind);
    } catch (fault) {
      if (!(fault instanceof TemplateFault)) throw fault;
      faults.add(`${field}.${place.field}`, fault.message);
      usedStandIn = true;
    }
    if (usedStandIn && place.kind === "json") isJsonKnown = false;
    return filled;
  });
  return isJsonKnown ? sample : withoutJson(sample);
}

function standInOf(kind: TextKind): string {
  return kind === "url" ? STAND_IN_URL : STAND_IN;
}

/** Without the payload that is JSON: messages without any field are always well-formed. */
function withoutJson(target: TargetMessage): TargetMessage {
  const { kind } = target;
  switch (kind?.$case) {
    case "handler":
      return { kind: { $case: "handler", value: { ...kind.value, payload: undefined } } };
    case "grpc":
      return { kind: { $case: "grpc", value: { ...kind.value, payload: undefined } } };
    case "http":
      return { kind: { $case: "http", value: { ...kind.value, content: { $case: "json", value: null } } } };
    default:
      return target;
  }
}
