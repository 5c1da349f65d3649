import { ErrorInfo } from "../../../gen/google/rpc/error_details.ts";
import type { Status } from "../../../gen/google/rpc/status.ts";
import type { Failure } from "../domain/failure.ts";

const ERROR_INFO_URL = "type.googleapis.com/google.rpc.ErrorInfo";
/** google.rpc.ErrorInfo.domain of every error that jobmesh reports. */
const DOMAIN = "jobmesh";

/** A failure as google.rpc.Status; its reason becomes an ErrorInfo. */
export function failureToStatus(failure: Failure): Status {
  const details =
    failure.reason === ""
      ? []
      : [
          {
            typeUrl: ERROR_INFO_URL,
            value: Buffer.from(ErrorInfo.encode({ reason: failure.reason, domain: DOMAIN, metadata: {} }).finish()),
          },
        ];
  return { code: failure.code, message: failure.message, details };
}

/** Reads a google.rpc.Status; its first ErrorInfo gives the reason. */
export function failureFromStatus(status: Status): Failure {
  const info = status.details.find((detail) => detail.typeUrl === ERROR_INFO_URL);
  const reason = info === undefined ? "" : ErrorInfo.decode(info.value).reason;
  return { code: status.code, message: status.message, reason };
}
