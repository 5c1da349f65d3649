import type { GrpcTarget } from "../../../gen/jobmesh/v1/job.ts";
import { parseHostPort } from "../../common/config/listen-address.ts";
import { entryBytes, isBase64, MAX_METADATA_BYTES } from "../../common/domain/target-limits.ts";
import { isSecretName } from "../../common/domain/template.ts";
import type { FieldFaults } from "./field-faults.ts";
import { checkMethod } from "./method-check.ts";
import type { PayloadCheck } from "./payload-check.ts";
import { checkJson, MAX_PAYLOAD_BYTES } from "./template-check.ts";

/** Longest address and longest server name, in characters. */
const MAX_ADDRESS_CHARACTERS = 512;
const MAX_SERVER_NAME_CHARACTERS = 253;
/** Most entries of metadata. */
const MAX_METADATA_ENTRIES = 64;

const NAME_PATTERN = /^etcd:\/\/\/[A-Za-z0-9._-]{1,64}$/;
const HOST_PATTERN = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const KEY_PATTERN = /^[a-z0-9_.-]{1,128}$/;
const TEXT_PATTERN = /^[ -~]*$/;
/**
 * Keys by which a call learns who it is, and those of gRPC and HTTP/2
 * themselves: with some of them Node ends the connection, under all its calls.
 */
const OWN_KEY_PATTERN = /^(jobmesh-.*|traceparent|tracestate)$/;
const GRPC_KEY_PATTERN =
  /^(grpc-.*|te|content-(type|length)|user-agent|host|connection|keep-alive|proxy-connection|transfer-encoding|trailer|upgrade|http2-settings)$/;

/**
 * Checks a gRPC call, and answers what is stored of its payload: a request in JSON as
 * bytes where a stored descriptor knows its method, else as given, for the
 * server's reflection.
 */
export async function checkGrpc(
  faults: FieldFaults,
  field: string,
  grpc: GrpcTarget,
  checkPayload: PayloadCheck,
): Promise<GrpcTarget["payload"]> {
  if (!isAddress(grpc.address)) {
    const limit = `at most ${MAX_ADDRESS_CHARACTERS} characters`;
    faults.add(`${field}.address`, `must be "etcd:///NAME", "dns:///HOST:PORT" or "HOST:PORT", ${limit}`);
  }
  checkMetadata(faults, `${field}.metadata`, grpc.metadata);
  checkTls(faults, `${field}.tls`, grpc.tls);
  const isMethod = checkMethod(faults, `${field}.method`, grpc.method);
  const isPayload = checkSize(faults, field, grpc.payload);
  return isMethod && isPayload ? await checkPayload.grpc(faults, field, grpc) : grpc.payload;
}

function isAddress(address: string): boolean {
  if (address.length > MAX_ADDRESS_CHARACTERS) return false;
  if (NAME_PATTERN.test(address)) return true;
  return (parseHostPort(address.replace(/^dns:\/\/\//, ""))?.port ?? 0) > 0;
}

/** True when the payload is not too large. */
function checkSize(faults: FieldFaults, field: string, payload: GrpcTarget["payload"]): boolean {
  if (payload?.$case === "requestJson") return checkJson(faults, `${field}.request_json`, payload.value);
  const size = payload?.value.length ?? 0;
  if (size <= MAX_PAYLOAD_BYTES) return true;
  faults.add(`${field}.request`, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${size}`);
  return false;
}

function checkMetadata(faults: FieldFaults, field: string, metadata: GrpcTarget["metadata"]): void {
  const entries = Object.entries(metadata);
  if (entries.length > MAX_METADATA_ENTRIES) {
    faults.add(field, `must be at most ${MAX_METADATA_ENTRIES} entries; was ${entries.length}`);
    return;
  }
  const size = entryBytes(metadata);
  if (size > MAX_METADATA_BYTES) faults.add(field, `must be at most ${MAX_METADATA_BYTES} bytes; was ${size}`);
  for (const [key, value] of entries) {
    const place = `${field}[${JSON.stringify(key.slice(0, 64))}]`;
    if (!KEY_PATTERN.test(key)) faults.add(place, "key must be 1 to 128 of [a-z0-9_.-]");
    if (OWN_KEY_PATTERN.test(key)) faults.add(place, "is metadata that jobmesh sets itself");
    if (GRPC_KEY_PATTERN.test(key)) faults.add(place, "is metadata that gRPC sets itself");
    if (key.endsWith("-bin")) {
      if (!isBase64(value)) faults.add(place, "must be base64, as the value of each key that ends in -bin");
    } else if (!TEXT_PATTERN.test(value))
      faults.add(place, "must be printable ASCII; other bytes go under a key that ends in -bin");
  }
}

function checkTls(faults: FieldFaults, field: string, tls: GrpcTarget["tls"]): void {
  if (tls === undefined) return;
  checkSecretName(faults, `${field}.ca_secret`, tls.caSecret);
  checkSecretName(faults, `${field}.client_secret`, tls.clientSecret);
  const { serverName } = tls;
  if (serverName !== "" && (serverName.length > MAX_SERVER_NAME_CHARACTERS || !HOST_PATTERN.test(serverName))) {
    faults.add(`${field}.server_name`, `must be a host's name of at most ${MAX_SERVER_NAME_CHARACTERS} characters`);
  }
}

function checkSecretName(faults: FieldFaults, field: string, name: string): void {
  if (name !== "" && !isSecretName(name)) faults.add(field, "must be a secret's name, 1 to 128 of [A-Za-z0-9_.-]");
}
