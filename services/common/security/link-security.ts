import type { Secret } from "./secret.ts";

/** A certificate with the chain to its issuer, as PEM, and its key. */
export type Identity = { readonly cert: string; readonly key: Secret };

/** TLS of a listener. */
export type ListenerTls = {
  readonly identity: Identity;
  /** PEM: every client has to show a certificate that one of these issued. Null: none is asked for. */
  readonly clientCa: string | null;
};

/** What a listener shows, and what it asks of whoever calls. */
export type ListenerSecurity = {
  /** Null: in clear text. */
  readonly tls: ListenerTls | null;
  /** One of these is needed; several are accepted at once, so that they can be changed. None is needed when empty. */
  readonly tokens: readonly Secret[];
};

/** TLS of what a process dials. */
export type ChannelTls = {
  /** PEM of the certificates that the server's has to come from; null: the machine's own roots. */
  readonly ca: string | null;
  /** Shown to a server that asks for it. */
  readonly identity: Identity | null;
  /** Name that the server's certificate has to carry; null: the host that is dialed, of etcd:///NAME the name. */
  readonly serverName: string | null;
};

/** How a process dials. */
export type ChannelSecurity = {
  /** Null: in clear text. */
  readonly tls: ChannelTls | null;
  /** Sent with every call. */
  readonly token: Secret | null;
  /** Sends the token in clear text beyond loopback, too. */
  readonly insecure: boolean;
};

/** TLS to etcd: whose certificates are trusted, and what is shown. */
export type EtcdTls = Pick<ChannelTls, "ca" | "identity">;

/** A listener that shows nothing and asks for nothing: for loopback. */
export const OPEN_LISTENER: ListenerSecurity = { tls: null, tokens: [] };
/** Dials in clear text, without a token. */
export const OPEN_CHANNEL: ChannelSecurity = { tls: null, token: null, insecure: false };

/** Where the certificates come from that others are verified by. */
export type Roots = { readonly kind: "system" } | { readonly kind: "pem"; readonly pem: string };

/** The settings of security, as a process has read them; what it does not have is not there. */
export type SecurityValues = {
  readonly tlsCert?: string | null;
  readonly tlsKey?: Secret | null;
  readonly tlsCa?: Roots | null;
  readonly tlsServerName?: string | null;
  readonly tlsClientCerts?: "off" | "required";
  readonly token?: readonly Secret[] | null;
  readonly tokenFile?: readonly Secret[] | null;
  readonly insecure?: boolean;
};

/** What the listeners of a process show and ask for. The relations between the values have been checked. */
export function listenerSecurity(values: SecurityValues): ListenerSecurity {
  const identity = identityOf(values);
  const { tlsClientCerts, tlsCa } = values;
  const clientCa = tlsClientCerts === "required" && tlsCa?.kind === "pem" ? tlsCa.pem : null;
  return { tls: identity === null ? null : { identity, clientCa }, tokens: tokensOf(values) };
}

/** How a process dials: by TLS when it knows whom to trust, with the first of its tokens. */
export function channelSecurity(values: SecurityValues): ChannelSecurity {
  const { tlsCa, tlsServerName = null, insecure = false } = values;
  const ca = tlsCa?.kind === "pem" ? tlsCa.pem : null;
  const tls = tlsCa ? { ca, identity: identityOf(values), serverName: tlsServerName } : null;
  return { tls, token: tokensOf(values)[0] ?? null, insecure };
}

/** The settings of etcd's TLS. */
export type EtcdValues = {
  readonly etcdEndpoints?: readonly string[] | null;
  readonly etcdCa?: Roots | null;
  readonly etcdCert?: string | null;
  readonly etcdKey?: Secret | null;
};

/** How etcd is dialed; null in clear text. */
export function etcdSecurity({ etcdEndpoints, etcdCa, etcdCert, etcdKey }: EtcdValues): EtcdTls | null {
  if (!etcdEndpoints?.some((endpoint) => endpoint.startsWith("https://"))) return null;
  const ca = etcdCa?.kind === "pem" ? etcdCa.pem : null;
  return { ca, identity: etcdCert && etcdKey ? { cert: etcdCert, key: etcdKey } : null };
}

function identityOf({ tlsCert, tlsKey }: SecurityValues): Identity | null {
  return tlsCert && tlsKey ? { cert: tlsCert, key: tlsKey } : null;
}

function tokensOf({ token, tokenFile }: SecurityValues): readonly Secret[] {
  return token ?? tokenFile ?? [];
}
