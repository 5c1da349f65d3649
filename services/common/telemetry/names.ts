/**
 * Every name that jobmesh emits, once. The types below let code emit no other,
 * and docs/telemetry.md is rendered from here.
 */

/** Spans by name, with their meaning. */
export const SPANS = {
  "jobmesh.rpc.server": "A call that this process answers; streams are left out.",
  "jobmesh.rpc.client": "A call that this process makes; streams are left out.",
  "jobmesh.submit": "An execution is taken in: from the request to the commit. Attempts are dispatched under it.",
  "jobmesh.store": "Its row is committed, in a group with others that came at the same time.",
  "jobmesh.fire":
    "A schedule's fire is stored as an execution, and begins its trace. Attempts are dispatched under it.",
  "jobmesh.dispatch": "An attempt's event goes to its executor: by Kafka until it is acknowledged, or by the session.",
  "jobmesh.run": "An attempt runs on an executor, from the event that it takes. TRACEPARENT of commands.",
  "jobmesh.produce": "A result goes to Kafka, until it is acknowledged; left out by the session.",
  "jobmesh.result": "A result that was read is stored.",
} as const satisfies Record<string, string>;

/** Name of a span. */
export type SpanName = keyof typeof SPANS;

/** Attributes of spans and of log lines' traces, with their meaning. */
export const ATTRIBUTES = {
  "rpc.system": 'Always "grpc".',
  "rpc.service": "Full name of the gRPC service.",
  "rpc.method": "Method within the service.",
  "rpc.grpc.status_code": "Number of the status that ended the call.",
  "network.peer.address": '"host:port" of the other side.',
  "messaging.system": 'Always "kafka".',
  "messaging.destination.partition.id": "Partition: the executor's lane, or the result's.",
  "messaging.kafka.message.offset": "Offset of a result in its partition.",
  "messaging.operation.type": '"send" or "process".',
  "jobmesh.job_id": "The job.",
  "jobmesh.execution_id": "The execution.",
  "jobmesh.attempt": "Number of the attempt, from 1.",
  "jobmesh.executor_id": "The executor.",
  "jobmesh.namespace": "The namespace.",
  "jobmesh.target": 'Kind of target: "command", "handler", "grpc" or "http".',
  "jobmesh.handler": 'Handler, "package.Service/Method".',
  "jobmesh.state": "State that the attempt or execution ended in.",
  "jobmesh.reason": "Reason of an error, as in docs/errors.md, or of a failure.",
  "jobmesh.batch.size": "Rows stored by the same transaction.",
} as const satisfies Record<string, string>;

/** Name of an attribute. */
export type AttributeName = keyof typeof ATTRIBUTES;
