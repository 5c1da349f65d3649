/** How etcd and Kafka are verified, and how they know who asks. MySQL has it all in its URL. */

import { SASL_MECHANISMS } from "../security/kafka-security.ts";
import type { Roots } from "../security/link-security.ts";
import { Secret } from "../security/secret.ts";
import { certificateFile, keyFile, readRoots } from "./security-settings.ts";
import { choice, custom, optional, secret, text } from "./setting.ts";

/** Longest user or password. */
const MAX_WORD = 256;

/** etcd, where its endpoints are https. */
export const etcdTls = {
  etcdCa: optional((declared) => custom<Roots>(declared, "path | system", readRoots), {
    env: "JOBMESH_ETCD_CA",
    meaning: "PEM file of the certificates that etcd's is verified by; unset or system: those that the machine trusts.",
  }),
  etcdCert: certificateFile({
    env: "JOBMESH_ETCD_CERT",
    meaning: "PEM file of the certificate that is shown to etcd, its chain after it.",
  }),
  etcdKey: keyFile({ env: "JOBMESH_ETCD_KEY", meaning: "PEM file of its private key, without a password." }),
};

/** Kafka's TLS and user. */
export const kafkaUse = {
  kafkaCa: optional((declared) => custom<Roots>(declared, "path | system", readRoots), {
    env: "JOBMESH_KAFKA_CA",
    meaning: "PEM file of the certificates that the brokers' are verified by, or system: TLS then.",
  }),
  kafkaCert: certificateFile({
    env: "JOBMESH_KAFKA_CERT",
    meaning: "PEM file of the certificate that is shown to brokers, its chain after it.",
  }),
  kafkaKey: keyFile({ env: "JOBMESH_KAFKA_KEY", meaning: "PEM file of its private key, without a password." }),
  kafkaSasl: choice({ env: "JOBMESH_KAFKA_SASL", default: "off", meaning: "How its user is proven to Kafka." }, [
    "off",
    ...SASL_MECHANISMS,
  ] as const),
  kafkaUser: optional((declared) => text(declared, new RegExp(`^.{1,${MAX_WORD}}$`), `1 to ${MAX_WORD} characters`), {
    env: "JOBMESH_KAFKA_USER",
    meaning: "Its user; the password is in JOBMESH_KAFKA_PASSWORD.",
  }),
  kafkaPassword: secret(
    optional(
      (declared) =>
        custom(declared, `1 to ${MAX_WORD} characters`, (given) =>
          given.length <= MAX_WORD ? { value: new Secret(given) } : { fault: `must be 1 to ${MAX_WORD} characters` },
        ),
      { env: "JOBMESH_KAFKA_PASSWORD", meaning: "The user's password. It has no flag: a command line can be seen." },
    ),
  ),
};
