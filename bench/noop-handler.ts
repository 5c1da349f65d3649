import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  RenderRequest,
  RenderResponse,
  ReportServiceService,
} from "../examples/report/gen/acme/report/v1/report_service.ts";
import type { HandlerDefinition } from "../services/executor/target/handler.ts";
import type { RunRecord } from "./run-record.ts";

/** The descriptors that the handler registers. */
export const descriptors: Uint8Array = readFileSync(
  new URL("../examples/report/gen/descriptors.binpb", import.meta.url),
);
/** SHA-256 of the descriptors, hex. */
export const descriptorHash: string = createHash("sha256").update(descriptors).digest("hex");

const answer = RenderResponse.fromPartial({});

/** A handler that does nothing but note that it ran. */
export function noopHandler(record: RunRecord): HandlerDefinition {
  return {
    method: ReportServiceService.render.path.slice(1),
    slots: 0,
    descriptorHash,
    decode: (bytes) => RenderRequest.decode(bytes),
    encodeJson: null,
    encode: (response) => RenderResponse.encode(response as RenderResponse).finish(),
    run: (_request, context) => {
      record.note(context.executionId);
      return answer;
    },
  };
}
