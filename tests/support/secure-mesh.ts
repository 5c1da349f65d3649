import { type Certificate, TestAuthority } from "./certificates.ts";

/** What a mesh of a test is secured with, and who is not part of it. */
export type SecureParts = {
  readonly authority: TestAuthority;
  /** Of schedulers, executors and clients alike. */
  readonly own: Certificate;
  /** Issued by another authority. */
  readonly foreign: Certificate;
  /** The token of the mesh. */
  readonly token: string;
  /** Environment of every process of the mesh: mTLS and the token. */
  readonly env: Readonly<Record<string, string>>;
};

/** Makes certificates and a token for one test. */
export function secureParts(scope: { after(end: () => void): void }): SecureParts {
  const authority = new TestAuthority(scope);
  const own = authority.issue();
  const token = "the-token-of-the-whole-mesh";
  const env = {
    JOBMESH_TLS_CERT: own.certPath,
    JOBMESH_TLS_KEY: own.keyPath,
    JOBMESH_TLS_CA: authority.caPath,
    JOBMESH_TLS_CLIENT_CERTS: "required",
    JOBMESH_TOKEN_FILE: authority.write("token", `${token}\n`),
  };
  return { authority, own, foreign: new TestAuthority(scope).issue(), token, env };
}
