import type { EtcdTls, Roots } from "./link-security.ts";
import type { Secret } from "./secret.ts";

/** How a user is proven to Kafka, by Kafka's names in small letters. */
export const SASL_MECHANISMS = ["plain", "scram-sha-256", "scram-sha-512"] as const;

/** A user of Kafka. */
export type KafkaUser = {
  readonly mechanism: (typeof SASL_MECHANISMS)[number];
  readonly username: string;
  readonly password: Secret;
};

/** How Kafka is dialed. */
export type KafkaSecurity = {
  /** Null: in clear text. */
  readonly tls: EtcdTls | null;
  /** Null: without a user. */
  readonly user: KafkaUser | null;
};

/** The settings of Kafka's security. */
export type KafkaValues = {
  readonly kafkaBrokers?: readonly string[] | null;
  readonly kafkaCa?: Roots | null;
  readonly kafkaCert?: string | null;
  readonly kafkaKey?: Secret | null;
  readonly kafkaSasl?: "off" | KafkaUser["mechanism"];
  readonly kafkaUser?: string | null;
  readonly kafkaPassword?: Secret | null;
};

/** What the settings say; their relations have been checked. */
export function kafkaSecurity(values: KafkaValues): KafkaSecurity {
  const { kafkaCa, kafkaCert, kafkaKey, kafkaSasl = "off", kafkaUser, kafkaPassword } = values;
  const identity = kafkaCert && kafkaKey ? { cert: kafkaCert, key: kafkaKey } : null;
  const isNamed = kafkaSasl !== "off" && kafkaUser && kafkaPassword;
  return {
    tls: kafkaCa ? { ca: kafkaCa.kind === "pem" ? kafkaCa.pem : null, identity } : null,
    user: isNamed ? { mechanism: kafkaSasl, username: kafkaUser, password: kafkaPassword } : null,
  };
}
