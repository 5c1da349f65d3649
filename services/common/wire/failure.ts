import { ErrorInfo } from "../../../gen/google/rpc/error_details.ts";
import type { Status } from "../../../gen/google/rpc/status.ts";
import type { Failure } from "../domain/failure.ts";

const ERROR_INFO = "google.rpc.ErrorInfo";
/** google.rpc.ErrorInfo.domain of every error that jobmesh reports. */
const DOMAIN = "jobmesh";

/** A failure as google.rpc.Status; its reason becomes an ErrorInfo. */
export function failureToStatus(failure: Failure): Status {
  const details =
    failure.reason === ""
      ? []
      : [
          {
            typeUrl: `type.googleapis.com/${ERROR_INFO}`,
            value: Buffer.from(ErrorInfo.encode({ reason: failure.reason, domain: DOMAIN, metadata: {} }).finish()),
          },
        ];
  return { code: failure.code, message: failure.message, details };
}

/**
 * Reads a google.rpc.Status; its first ErrorInfo gives the reason. Details that
 * cannot be read give none: code and text still tell the story.
 */
export function failureFromStatus(status: Status): Failure {
  const info = status.details.find(({ typeUrl }) => typeUrl.slice(typeUrl.lastIndexOf("/") + 1) === ERROR_INFO);
  return { code: status.code, message: status.message, reason: info === undefined ? "" : reasonOf(info.value) };
}

function reasonOf(bytes: Uint8Array): string {
  try {
    return ErrorInfo.decode(bytes).reason;
  } catch {
    return "";
  }
}
