import { REASON_NAMES, REASONS } from "./reasons.ts";

/** Renders docs/errors.md from the table of reasons. */
export function renderErrorTable(): string {
  const rows = REASON_NAMES.map((reason) => {
    const { code, retryable, message } = REASONS[reason];
    return `| ${reason} | ${code} | ${retryable ? "yes" : "no"} | ${message} |`;
  });
  return `${[
    "# Errors",
    "",
    "<!-- Generated from services/common/error/reasons.ts; a test compares. -->",
    "",
    "Every error carries a google.rpc.Status in the trailer `grpc-status-details-bin` with an ErrorInfo, whose domain",
    'is "jobmesh" and whose reason is one of these. INVALID_ARGUMENT also carries a BadRequest that names each field',
    "at fault with its limit, and so does the message. RetryInfo says how long to wait where the server knows. A retry",
    "helps when the last but one column says so; a submission that is tried again needs a request_id.",
    "",
    "| reason | code | retry | meaning |",
    "|---|---|---|---|",
    ...rows,
  ].join("\n")}\n`;
}
