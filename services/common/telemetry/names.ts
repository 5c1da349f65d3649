/**
 * Every name that jobmesh emits, once. The types below let code emit no other,
 * and docs/telemetry.md is rendered from here.
 */

/** Spans by name, with their meaning. */
export const SPANS = {
  "jobmesh.rpc.server": "A call that this process answers; streams are left out.",
  "jobmesh.rpc.client": "A call that this process makes; streams are left out.",
  "jobmesh.submit": "An execution is taken in: from the request to the commit.",
  "jobmesh.fire": "A schedule's fire is stored as an execution.",
  "jobmesh.store.commit": "A group of changes is committed; linked from the executions in it.",
  "jobmesh.dispatch": "An attempt is claimed and its event is handed to the bus.",
  "jobmesh.produce": "An event is on its way to Kafka, until it is acknowledged.",
  "jobmesh.receive": "An event is taken from the lane or the session, until its attempt starts.",
  "jobmesh.run": "An attempt runs on an executor.",
  "jobmesh.result": "A result is read and stored.",
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
  "messaging.destination.name": "Topic.",
  "messaging.destination.partition.id": "Partition.",
  "messaging.kafka.message.offset": "Offset in the partition.",
  "messaging.operation.type": '"send" or "process".',
  "jobmesh.job_id": "The job.",
  "jobmesh.execution_id": "The execution.",
  "jobmesh.attempt": "Number of the attempt, from 1.",
  "jobmesh.executor_id": "The executor.",
  "jobmesh.scheduler_id": "The scheduler.",
  "jobmesh.namespace": "The namespace.",
  "jobmesh.target": 'Kind of target: "command", "handler", "grpc" or "http".',
  "jobmesh.handler": 'Handler, "package.Service/Method".',
  "jobmesh.state": "State that the attempt or execution ended in.",
  "jobmesh.reason": "Reason of an error, as in docs/errors.md, or of a failure.",
  "jobmesh.batch.size": "Rows or messages in the batch.",
} as const satisfies Record<string, string>;

/** Name of an attribute. */
export type AttributeName = keyof typeof ATTRIBUTES;
