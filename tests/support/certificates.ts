import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureOpenssl } from "../../scripts/tools.ts";

const openssl = await ensureOpenssl();

/** A certificate with its key: texts, and the files that they are in. */
export type Certificate = {
  readonly cert: string;
  readonly key: string;
  readonly certPath: string;
  readonly keyPath: string;
};

/** How a certificate is made. */
export type CertificateOptions = {
  /** Names that it carries; loopback's and `scheduler` when unset. */
  readonly names?: readonly string[];
  /** Days that it is valid from now; a negative number makes one that has expired. Default 2. */
  readonly days?: number;
};

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const LOOPBACK = ["DNS:scheduler", "DNS:localhost", "IP:127.0.0.1"];

/** An authority of a test's own, made by openssl in a folder that goes with the test. */
export class TestAuthority {
  readonly #folder: string;
  /** PEM of its own certificate. */
  readonly ca: string;
  readonly caPath: string;
  #made = 0;

  /** @param scope a test, or node:test's own hooks for the authority of a file */
  constructor(scope: { after(end: () => void): void }) {
    this.#folder = mkdtempSync(join(tmpdir(), "jm-ca-"));
    scope.after(() => rmSync(this.#folder, { recursive: true, force: true }));
    this.caPath = this.#path("ca.pem");
    this.#openssl(
      "req",
      "-x509",
      ...NEW_KEY,
      "-keyout",
      this.#path("ca.key"),
      "-out",
      this.caPath,
      "-subj",
      "/CN=test",
    );
    this.ca = readFileSync(this.caPath, "utf8");
  }

  /** Issues a certificate, for servers and clients alike. */
  issue({ names = LOOPBACK, days = 2 }: CertificateOptions = {}): Certificate {
    this.#made += 1;
    const [certPath, keyPath, request, extensions] = ["pem", "key", "csr", "ext"].map((end) =>
      this.#path(`${this.#made}.${end}`),
    ) as [string, string, string, string];
    writeFileSync(extensions, `subjectAltName=${names.join(",")}\nbasicConstraints=CA:FALSE\n`);
    this.#openssl("req", ...NEW_KEY, "-keyout", keyPath, "-out", request, "-subj", "/CN=jobmesh");
    const issuer = ["-CA", this.caPath, "-CAkey", this.#path("ca.key"), "-days", String(days)];
    this.#openssl("x509", "-req", "-in", request, ...issuer, "-extfile", extensions, "-out", certPath);
    return { cert: readFileSync(certPath, "utf8"), key: readFileSync(keyPath, "utf8"), certPath, keyPath };
  }

  /** Writes a file beside the certificates, and gives its path. */
  write(name: string, text: string): string {
    writeFileSync(this.#path(name), text);
    return this.#path(name);
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #openssl(...args: readonly string[]): void {
    execFileSync(openssl, args, { stdio: "pipe" });
  }
}
