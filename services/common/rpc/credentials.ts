import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import { ChannelCredentials, type ChannelOptions, ServerCredentials } from "@grpc/grpc-js";
import { parseHostPort } from "../config/listen-address.ts";
import type { ChannelTls, Identity, ListenerTls } from "../security/link-security.ts";

/** Credentials of a listener; null is clear text. */
export function serverCredentials(tls: ListenerTls | null): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure();
  const { key, cert } = bytesOf(tls.identity);
  const roots = tls.clientCa === null ? null : Buffer.from(tls.clientCa);
  return ServerCredentials.createSsl(roots, [{ private_key: key, cert_chain: cert }], roots !== null);
}

/** Asked of a server that is dialed by its IP address, which TLS has no way to ask for (RFC 6066). */
const NO_NAME = "jobmesh.invalid";

/** Credentials of what is dialed; null is clear text. */
export function channelCredentials(tls: ChannelTls | null, target: string): ChannelCredentials {
  if (tls === null) return ChannelCredentials.createInsecure();
  const roots = tls.ca === null ? null : Buffer.from(tls.ca);
  const address = dialedAddress(tls, target);
  const verify =
    address === null ? {} : { checkServerIdentity: (_: string, cert: Shown) => checkServerIdentity(address, cert) };
  if (tls.identity === null) return ChannelCredentials.createSsl(roots, null, null, verify);
  const { key, cert } = bytesOf(tls.identity);
  return ChannelCredentials.createSsl(roots, key, cert, verify);
}

/** What names the server, where that is not the host that is dialed. */
export function nameOptions(tls: ChannelTls | null, target: string): ChannelOptions {
  if (tls === null) return {};
  if (dialedAddress(tls, target) !== null) return { "grpc.ssl_target_name_override": NO_NAME };
  if (tls.serverName === null) return {};
  return { "grpc.ssl_target_name_override": tls.serverName, "grpc.default_authority": tls.serverName };
}

type Shown = Parameters<typeof checkServerIdentity>[1];

/** The IP address that the certificate has to carry; null where it is a name. grpc-js would ask for it as for a name. */
function dialedAddress(tls: ChannelTls, target: string): string | null {
  const host = parseHostPort(target)?.host;
  return tls.serverName === null && host !== undefined && isIP(host) !== 0 ? host : null;
}

function bytesOf({ cert, key }: Identity): { readonly cert: Buffer; readonly key: Buffer } {
  return { cert: Buffer.from(cert), key: Buffer.from(key.reveal()) };
}
