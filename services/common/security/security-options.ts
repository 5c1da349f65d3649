import { JobmeshError } from "../error/jobmesh-error.ts";
import { type ChannelSecurity, channelSecurity, type SecurityValues } from "./link-security.ts";
import { Secret } from "./secret.ts";
import { isToken, TOKEN_TAKES } from "./token-text.ts";

/** TLS of a client or an executor; `{}` trusts the machine's own roots. */
export type TlsOptions = {
  /** PEM of the certificates that the schedulers' have to come from; the machine's own roots when left out. */
  readonly ca?: string | undefined;
  /** PEM of its own certificate, for schedulers that ask for one. */
  readonly cert?: string | undefined;
  /** PEM of its private key. */
  readonly key?: string | Secret | undefined;
  /** Name that the schedulers' certificates have to carry; the host that is dialed, or the name in etcd, when left out. */
  readonly serverName?: string | undefined;
};

/** How a program proves who it is, and whom it trusts. */
export type SecurityOptions = {
  /** Dials by TLS; in clear text when left out. */
  readonly tls?: TlsOptions | undefined;
  /** Sent with every call: 16 to 512 of [A-Za-z0-9._~+/=-]. Beyond loopback it needs `tls`. */
  readonly token?: string | Secret | undefined;
  /** Allows the token in clear text beyond loopback, and an executor's listener without any; default false. */
  readonly insecure?: boolean | undefined;
};

/** How a channel dials by these options. Throws CONFIG_INVALID for a certificate without its key, and for no token. */
export function channelOf(options: SecurityOptions): ChannelSecurity {
  return channelSecurity(valuesOf(options));
}

/** The options as settings: what is left out is not there. Throws CONFIG_INVALID as channelOf does. */
export function valuesOf({ tls, token, insecure }: SecurityOptions): SecurityValues {
  return {
    ...(tls === undefined ? {} : tlsValues(tls)),
    ...(token === undefined ? {} : { token: [tokenOf(token)], tokenFile: null }),
    ...(insecure === undefined ? {} : { insecure }),
  };
}

/** The way back, for whoever has read settings and makes a client. */
export function optionsOf({ tls, token, insecure }: ChannelSecurity): SecurityOptions {
  const { identity = null, ca = null, serverName = null } = tls ?? {};
  const options = {
    ca: ca ?? undefined,
    cert: identity?.cert,
    key: identity?.key,
    serverName: serverName ?? undefined,
  };
  return { tls: tls === null ? undefined : options, token: token ?? undefined, insecure };
}

function tlsValues({ ca, cert, key, serverName }: TlsOptions): SecurityValues {
  if ((cert === undefined) !== (key === undefined)) {
    throw new JobmeshError("CONFIG_INVALID", { message: "tls: cert and key are given together or not at all" });
  }
  return {
    tlsCa: ca === undefined ? { kind: "system" } : { kind: "pem", pem: ca },
    tlsCert: cert ?? null,
    tlsKey: key === undefined ? null : secretOf(key),
    tlsServerName: serverName ?? null,
  };
}

/** Looked at here: whoever cannot send it would show it in his complaint. */
function tokenOf(given: string | Secret): Secret {
  const token = secretOf(given);
  if (isToken(token.reveal())) return token;
  throw new JobmeshError("CONFIG_INVALID", { message: `token: must be ${TOKEN_TAKES}` });
}

function secretOf(given: string | Secret): Secret {
  return typeof given === "string" ? new Secret(given) : given;
}
