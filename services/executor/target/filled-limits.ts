import type { Target } from "../../../gen/jobmesh/v1/job.ts";
import {
  entryBytes,
  isBase64,
  MAX_HEADERS_BYTES,
  MAX_METADATA_BYTES,
  MAX_URL_CHARACTERS,
} from "../../common/domain/target-limits.ts";

/** Characters of a key that a fault shows. */
const MAX_SHOWN_CHARACTERS = 64;

/**
 * Why a target that was filled in is not what the API takes; null when it is. It
 * names the field and the limit, never what was filled in. Metadata beyond what a
 * server takes would end the connection under all calls on it.
 */
export function limitFault({ kind }: Target): string | null {
  if (kind?.$case === "grpc") return metadataFault(kind.value.metadata);
  if (kind?.$case !== "http") return null;
  const { url, headers } = kind.value;
  if (url.length > MAX_URL_CHARACTERS) {
    return `target.http.url: must be at most ${MAX_URL_CHARACTERS} characters when it is filled in`;
  }
  if (entryBytes(headers) <= MAX_HEADERS_BYTES) return null;
  return `target.http.headers: must be at most ${MAX_HEADERS_BYTES} bytes, names and values together, when they are filled in`;
}

function metadataFault(metadata: Readonly<Record<string, string>>): string | null {
  if (entryBytes(metadata) > MAX_METADATA_BYTES) {
    return `target.grpc.metadata: must be at most ${MAX_METADATA_BYTES} bytes when it is filled in`;
  }
  const wrong = Object.keys(metadata).find((key) => key.endsWith("-bin") && !isBase64(metadata[key] ?? ""));
  if (wrong === undefined) return null;
  return `target.grpc.metadata[${JSON.stringify(wrong.slice(0, MAX_SHOWN_CHARACTERS))}]: must be base64 when it is filled in`;
}
