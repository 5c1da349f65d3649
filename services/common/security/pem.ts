import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Secret } from "./secret.ts";

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** True when the text has at least one certificate, and each that it has can be read. */
export function isCertificates(pem: string): boolean {
  const blocks = pem.match(BLOCK) ?? [];
  return blocks.length > 0 && blocks.every((block) => certificateOf(block) !== null);
}

/** True when the text is a private key without a password. */
export function isPrivateKey(pem: string): boolean {
  try {
    createPrivateKey(pem);
    return true;
  } catch {
    return false;
  }
}

/** True when the key is that of the first certificate, which is the process's own. */
export function belongTogether(cert: string, key: Secret): boolean {
  return certificateOf(cert)?.checkPrivateKey(createPrivateKey(key.reveal())) === true;
}

function certificateOf(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}
