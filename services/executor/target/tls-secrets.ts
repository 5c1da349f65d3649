import type { GrpcTls } from "../../../gen/jobmesh/v1/job.ts";
import type { RawTls } from "../../common/rpc/raw-call.ts";
import { belongTogether, isCertificates, isPrivateKey } from "../../common/security/pem.ts";
import { Secret } from "../../common/security/secret.ts";
import { SecretFault, type SecretSource } from "../secrets.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----[^-]+-----END ([A-Z]+ )?PRIVATE KEY-----/;

/** The transport security of a call, its secrets read anew. Throws SecretFault that names secret and field. */
export async function tlsOf(tls: GrpcTls, secrets: SecretSource): Promise<RawTls> {
  const { caSecret, clientSecret, serverName } = tls;
  return {
    serverName,
    ca: caSecret === "" ? null : await inField("ca_secret", () => authorities(caSecret, secrets)),
    client: clientSecret === "" ? null : await inField("client_secret", () => clientOf(clientSecret, secrets)),
  };
}

async function authorities(name: string, secrets: SecretSource): Promise<string> {
  const pem = await secrets.read(name);
  if (!isCertificates(pem)) throw new SecretFault(`the secret ${name} holds no certificates in PEM`);
  return pem;
}

async function clientOf(name: string, secrets: SecretSource): Promise<NonNullable<RawTls["client"]>> {
  const pem = await secrets.read(name);
  const certificates = (pem.match(CERTIFICATE) ?? []).join("\n");
  const [key = ""] = pem.match(PRIVATE_KEY) ?? [];
  if (!isCertificates(certificates)) throw new SecretFault(`the secret ${name} holds no certificate in PEM`);
  if (!isPrivateKey(key)) throw new SecretFault(`the secret ${name} holds no private key in PEM, without a password`);
  const client = { certificates, key: new Secret(key) };
  if (!belongTogether(certificates, client.key)) {
    throw new SecretFault(`the key of the secret ${name} is not that of its first certificate`);
  }
  return client;
}

async function inField<T>(field: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (fault) {
    if (!(fault instanceof SecretFault)) throw fault;
    throw new SecretFault(`target.grpc.tls.${field}: ${fault.message}`);
  }
}
