import type { FieldViolation } from "../error/jobmesh-error.ts";
import type { KafkaValues } from "../security/kafka-security.ts";
import { type EtcdValues, listenerSecurity, type SecurityValues } from "../security/link-security.ts";
import { belongTogether } from "../security/pem.ts";
import type { Secret } from "../security/secret.ts";
import { exposureOf, isLoopback, parseHostPort } from "./listen-address.ts";
import { violation } from "./setting.ts";

/** What the relations of security look at beside its own values. */
export type GuardedValues = SecurityValues &
  EtcdValues &
  KafkaValues & {
    readonly listen?: string;
    readonly httpListen?: string | null;
    readonly advertise?: string | null;
    readonly scheduler?: string | null;
  };

/** Every relation between the settings of security that does not hold. */
export function checkSecurity(values: GuardedValues): FieldViolation[] {
  return [
    ...checkIdentity("JOBMESH_TLS", values.tlsCert, values.tlsKey),
    ...checkTrust(values),
    ...checkTokens(values),
    ...checkListeners(values),
    ...checkIdentity("JOBMESH_ETCD", values.etcdCert, values.etcdKey),
    ...checkEtcd(values),
    ...checkIdentity("JOBMESH_KAFKA", values.kafkaCert, values.kafkaKey),
    ...checkKafka(values),
  ];
}

function checkIdentity(
  name: string,
  cert: string | null | undefined,
  key: Secret | null | undefined,
): FieldViolation[] {
  const [certEnv, keyEnv] = [`${name}_CERT`, `${name}_KEY`];
  if (cert && key === null) return [violation(keyEnv, `must be set with ${certEnv}`)];
  if (key && cert === null) return [violation(certEnv, `must be set with ${keyEnv}`)];
  if (cert && key && !belongTogether(cert, key)) {
    return [violation(keyEnv, `must be the key of the first certificate in ${certEnv}`)];
  }
  return [];
}

/** What is set for TLS has to be used: by all endpoints or by none. */
function checkEtcd({ etcdEndpoints, etcdCa, etcdCert }: GuardedValues): FieldViolation[] {
  const endpoints = etcdEndpoints ?? [];
  const byTls = endpoints.filter((endpoint) => endpoint.startsWith("https://")).length;
  if (byTls === endpoints.length && (byTls > 0 || !(etcdCa || etcdCert))) return [];
  if (byTls === 0 && !(etcdCa || etcdCert)) return [];
  const why = byTls === 0 ? "where JOBMESH_ETCD_CA or JOBMESH_ETCD_CERT is set" : "all of them, or none";
  return [violation("JOBMESH_ETCD_ENDPOINTS", `must be https://host:port, ${why}`)];
}

function checkKafka(values: GuardedValues): FieldViolation[] {
  const { kafkaBrokers, kafkaCa, kafkaCert, kafkaSasl, kafkaUser, kafkaPassword, insecure = false } = values;
  const faults: FieldViolation[] = [];
  if (kafkaCert && kafkaCa === null) faults.push(violation("JOBMESH_KAFKA_CA", "must be set with JOBMESH_KAFKA_CERT"));
  for (const [env, value] of [
    ["JOBMESH_KAFKA_USER", kafkaUser],
    ["JOBMESH_KAFKA_PASSWORD", kafkaPassword],
  ] as const) {
    if (kafkaSasl === "off" && value) faults.push(violation("JOBMESH_KAFKA_SASL", `must be set with ${env}`));
    if (kafkaSasl !== "off" && value === null) {
      faults.push(violation(env, `must be set where JOBMESH_KAFKA_SASL is ${kafkaSasl}`));
    }
  }
  const reached = kafkaBrokers?.find((broker) => !isLoopback(parseHostPort(broker)?.host ?? ""));
  if (kafkaSasl === "plain" && kafkaCa === null && !insecure && reached !== undefined) {
    const description = `is plain, and the password would go to ${reached} in clear text; set JOBMESH_KAFKA_CA; --insecure allows it`;
    faults.push(violation("JOBMESH_KAFKA_SASL", description));
  }
  return faults;
}

function checkTrust(values: GuardedValues): FieldViolation[] {
  const { tlsCert, tlsCa, tlsServerName, tlsClientCerts } = values;
  const faults: FieldViolation[] = [];
  // Without it the other side is dialed in clear text, which somebody who has certificates did not mean.
  if (tlsCert && tlsCa === null && dials(values)) {
    const description = "must be set with JOBMESH_TLS_CERT: schedulers are dialed by TLS only with it";
    faults.push(violation("JOBMESH_TLS_CA", description));
  }
  if (tlsServerName && tlsCa === null) {
    faults.push(violation("JOBMESH_TLS_CA", "must be set with JOBMESH_TLS_SERVER_NAME"));
  }
  if (tlsClientCerts !== "required") return faults;
  if (tlsCert === null) {
    faults.push(violation("JOBMESH_TLS_CERT", "must be set where JOBMESH_TLS_CLIENT_CERTS is required"));
  }
  if (tlsCa === null || tlsCa?.kind === "system") {
    const description =
      "must be a file where JOBMESH_TLS_CLIENT_CERTS is required: whoever has a certificate from it may call";
    faults.push(violation("JOBMESH_TLS_CA", description));
  }
  return faults;
}

/** Whether the process dials schedulers: executors and clients always, schedulers when there are others. */
function dials(values: GuardedValues): boolean {
  if (values.scheduler !== undefined) return true;
  return values.advertise !== undefined && Boolean(values.etcdEndpoints);
}

function checkTokens(values: GuardedValues): FieldViolation[] {
  const { token, tokenFile, tlsCa, scheduler, insecure = false } = values;
  const faults: FieldViolation[] = [];
  if (token && tokenFile) faults.push(violation("JOBMESH_TOKEN_FILE", "must not be set together with JOBMESH_TOKEN"));
  const host = scheduler ? parseHostPort(scheduler)?.host : undefined;
  if ((token || tokenFile) && tlsCa === null && !insecure && host !== undefined && !isLoopback(host)) {
    const description = `is beyond loopback, and the token would go there in clear text; set JOBMESH_TLS_CA; --insecure allows it; was ${scheduler}`;
    faults.push(violation("JOBMESH_SCHEDULER", description));
  }
  return faults;
}

function checkListeners(values: GuardedValues): FieldViolation[] {
  const { tlsCert, tlsKey, tlsCa, token, tokenFile } = values;
  // One that could not be read is a fault already, and says nothing of what the listener would have had.
  if ([tlsCert, tlsKey, tlsCa, token, tokenFile].includes(undefined)) return [];
  const lacks = exposureOf(listenerSecurity(values));
  if (lacks === null || values.insecure) return [];
  const faults: FieldViolation[] = [];
  for (const [env, address] of [
    ["JOBMESH_LISTEN", values.listen],
    ["JOBMESH_HTTP_LISTEN", values.httpListen],
  ] as const) {
    const host = address ? parseHostPort(address)?.host : undefined;
    if (host === undefined || isLoopback(host)) continue;
    faults.push(violation(env, `is beyond loopback and ${lacks}; --insecure allows it; was ${address}`));
  }
  return faults;
}
