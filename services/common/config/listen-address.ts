import { isIPv4 } from "node:net";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { ListenerSecurity } from "../security/link-security.ts";

/** Where to listen or dial. */
export interface HostPort {
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  /** 0 to 65535; 0 lets the system choose, for listeners only. */
  readonly port: number;
}

/** Reads "host:port" or "[v6]:port"; null when it is neither. */
export function parseHostPort(text: string): HostPort | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) return null;
  return { host, port };
}

/** Renders "host:port", IPv6 in brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True when nothing beyond this machine reaches the host. Names other than localhost are taken as reachable. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

/**
 * What a listener lacks for being reached from beyond loopback, with what to
 * set; null when nothing: TLS, and a token or client certificates.
 */
export function exposureOf({ tls, tokens }: ListenerSecurity): string | null {
  const certificate = "JOBMESH_TLS_CERT and JOBMESH_TLS_KEY";
  if (tls === null && tokens.length === 0) {
    return `has no TLS and no token; set ${certificate}, and JOBMESH_TOKEN_FILE`;
  }
  if (tls === null) return `would take its token in clear text; set ${certificate}`;
  if (tokens.length > 0 || tls.clientCa !== null) return null;
  return "asks nobody for a token; set JOBMESH_TOKEN_FILE, or JOBMESH_TLS_CLIENT_CERTS=required";
}

/**
 * Refuses a listener that others reach without TLS and authentication, unless
 * that was asked for in so many words. Answers what it lacks when the caller
 * has to warn: allowed, but open.
 */
export function checkListener(listen: string, insecure: boolean, security: ListenerSecurity): string | null {
  const address = parseHostPort(listen);
  if (address === null) {
    throw new JobmeshError("ADDRESS_UNUSABLE", { message: `cannot listen on "${listen}": it is not host:port` });
  }
  const lacks = isLoopback(address.host) ? null : exposureOf(security);
  if (lacks === null || insecure) return lacks;
  throw new JobmeshError("LISTENER_INSECURE", {
    message: `refusing to listen on ${listen}: it is beyond loopback and ${lacks}; --insecure allows it`,
    metadata: { address: listen },
  });
}

/** Turns a failed bind into an error of one clear line. */
export function listenError(listen: string, cause: unknown): JobmeshError {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (text.includes("EADDRINUSE")) {
    const message = `cannot listen on ${listen}: the address is in use by another process`;
    return new JobmeshError("ADDRESS_IN_USE", { message, metadata: { address: listen }, cause });
  }
  const why = /\bE[A-Z]{3,}\b/.exec(text)?.[0];
  const message = `cannot listen on ${listen}: ${why ?? "the address cannot be used"}`;
  return new JobmeshError("ADDRESS_UNUSABLE", { message, metadata: { address: listen }, cause });
}
