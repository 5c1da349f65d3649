import type { ReceivedSpan } from "./otlp-receiver.ts";

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];

/** Value of an attribute as text; "" when the span has none of that name. */
export function attributeOf(span: ReceivedSpan, name: string): string {
  const value = span.attributes.find(({ key }) => key === name)?.value ?? {};
  return String(Object.values(value)[0] ?? "");
}

/**
 * A trace as text: a line for each span, under its parent, in the order of their starts, with its service, kind,
 * attempt and state. "by kafka" tells what came or went by the bus.
 */
export function traceTree(spans: readonly ReceivedSpan[], traceId: string): string {
  const own = spans.filter((span) => span.traceId === traceId);
  const ids = new Set(own.map(({ spanId }) => spanId));
  const under = (parents: (id: string) => boolean, indent: string): string[] =>
    own
      .filter(({ parentSpanId }) => parents(parentSpanId ?? ""))
      .sort((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)))
      .flatMap((span) => [indent + line(span), ...under((id) => id === span.spanId, `${indent}  `)]);
  return under((id) => !ids.has(id), "").join("\n");
}

function line(span: ReceivedSpan): string {
  const attempt = attributeOf(span, "jobmesh.attempt");
  return [
    `${span.name} [${span.service} ${KINDS[span.kind]}]`,
    attempt === "" ? "" : `#${attempt}`,
    attributeOf(span, "jobmesh.state"),
    attributeOf(span, "messaging.system") === "" ? "" : "by kafka",
  ]
    .filter((part) => part !== "")
    .join(" ");
}
