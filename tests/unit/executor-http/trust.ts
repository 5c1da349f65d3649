import type { TestContext } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { SelfSigned } from "../../support/self-signed.ts";

/** Lets this process trust a certificate until the test's end, as NODE_EXTRA_CA_CERTS does for an executor. */
export function trust(t: TestContext, { cert }: SelfSigned): void {
  const before = getCACertificates("default");
  setDefaultCACertificates([...before, cert]);
  t.after(() => setDefaultCACertificates(before));
}
