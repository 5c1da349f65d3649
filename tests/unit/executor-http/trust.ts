import type { TestContext } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { Certificate } from "./certificate.ts";

/** Lets this process trust a certificate until the test's end, as NODE_EXTRA_CA_CERTS does for an executor. */
export function trust(t: TestContext, { cert }: Certificate): void {
  const before = getCACertificates("default");
  setDefaultCACertificates([...before, cert]);
  t.after(() => setDefaultCACertificates(before));
}
