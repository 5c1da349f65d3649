/**
 * Who may speak to whom. The same names on all processes; files are read when
 * the settings are, so that what is wrong with them is told with all the rest.
 */

import { readFileSync, statSync } from "node:fs";
import type { Roots } from "../security/link-security.ts";
import { isCertificates, isPrivateKey } from "../security/pem.ts";
import { Secret } from "../security/secret.ts";
import { isToken, TOKEN_TAKES } from "../security/token-text.ts";
import {
  choice,
  custom,
  type OptionalDeclaration,
  optional,
  type Reading,
  type Setting,
  secret,
  text,
} from "./setting.ts";

/** Largest file of certificates, of a key or of tokens. */
const MAX_FILE_BYTES = 1024 * 1024;
/** Tokens that are accepted at once: two while one is changed for the other, and some to spare. */
const MAX_TOKENS = 8;
const TOKENS_TAKES = `1 to ${MAX_TOKENS} tokens of ${TOKEN_TAKES}`;
/** Stands for the roots that the machine trusts. */
const SYSTEM = "system";

/** Certificates: its own, and those that others are verified by. */
export const tls = {
  tlsCert: certificateFile({
    env: "JOBMESH_TLS_CERT",
    meaning: "PEM file of this process's certificate, its chain after it: its listeners speak TLS then.",
  }),
  tlsKey: keyFile({ env: "JOBMESH_TLS_KEY", meaning: "PEM file of its private key, without a password." }),
  tlsCa: optional((declared) => custom<Roots>(declared, `path | ${SYSTEM}`, readRoots), {
    env: "JOBMESH_TLS_CA",
    meaning: `PEM file of the certificates that others' are verified by, or ${SYSTEM}: what it dials is dialed by TLS then.`,
  }),
};

/** For those who dial schedulers. */
export const tlsName = {
  tlsServerName: optional((declared) => text(declared, /^[A-Za-z0-9._-]{1,253}$/, "a host name"), {
    env: "JOBMESH_TLS_SERVER_NAME",
    meaning: "Name in schedulers' certificates; unset: the host that is dialed, by etcd:///scheduler that name.",
  }),
};

/** For those who listen. */
export const clientCertificates = {
  tlsClientCerts: choice(
    {
      env: "JOBMESH_TLS_CLIENT_CERTS",
      default: "off",
      meaning: "Whether callers need a certificate of JOBMESH_TLS_CA (mTLS); HTTP probes never do.",
    },
    ["off", "required"],
  ),
};

/** What calls are authenticated by. */
export const tokens = {
  token: secret(
    optional(
      (declared) => custom(declared, `${TOKENS_TAKES}, separated by commas`, (given) => readTokens(given, ",")),
      {
        env: "JOBMESH_TOKEN",
        meaning:
          "Tokens that calls need: all are accepted, the first is sent. It has no flag: a command line can be seen.",
      },
    ),
  ),
  tokenFile: secret(
    optional((declared) => custom(declared, "path", readTokenFile), {
      env: "JOBMESH_TOKEN_FILE",
      meaning: "File of tokens that calls need, one a line: all are accepted, the first is sent. Or JOBMESH_TOKEN.",
    }),
  ),
};

/** A file of certificates, as its text. */
export function certificateFile(declared: OptionalDeclaration): Setting<string | null> {
  return pemFile(declared, "a PEM file of certificates", (pem) => (isCertificates(pem) ? pem : null));
}

/** A file of a private key. */
export function keyFile(declared: OptionalDeclaration): Setting<Secret | null> {
  const takes = "a PEM file of a private key without a password";
  return pemFile(declared, takes, (pem) => (isPrivateKey(pem) ? new Secret(pem) : null));
}

function pemFile<T>(declared: OptionalDeclaration, takes: string, parse: (pem: string) => T | null): Setting<T | null> {
  return optional(
    (declaration) =>
      custom<T>(declaration, "path", (path) => {
        const file = readText(path);
        if ("fault" in file) return file;
        const value = parse(file.value);
        return value === null ? { fault: `must be ${takes}` } : { value };
      }),
    declared,
  );
}

/** Reads a file of certificates, or `system`. */
export function readRoots(given: string): Reading<Roots> {
  if (given === SYSTEM) return { value: { kind: "system" } };
  const file = readText(given);
  if ("fault" in file) return file;
  if (!isCertificates(file.value)) return { fault: `must be a PEM file of certificates, or ${SYSTEM}` };
  return { value: { kind: "pem", pem: file.value } };
}

function readTokenFile(path: string): Reading<readonly Secret[]> {
  const file = readText(path);
  return "fault" in file ? file : readTokens(file.value, "\n");
}

function readTokens(given: string, separator: string): Reading<readonly Secret[]> {
  const items = given
    .split(separator)
    .map((item) => item.trim())
    .filter((item) => item !== "");
  if (items.length === 0 || items.length > MAX_TOKENS || !items.every(isToken)) {
    return { fault: `must be ${TOKENS_TAKES}` };
  }
  return { value: Object.freeze(items.map((item) => new Secret(item))) };
}

function readText(path: string): Reading<string> {
  try {
    const file = statSync(path);
    // A pipe is how a shell hands over what it has from elsewhere.
    if (!file.isFile() && !file.isFIFO()) return { fault: "must be a file" };
    if (file.size > MAX_FILE_BYTES) return { fault: `must be a file of at most ${MAX_FILE_BYTES} bytes` };
    return { value: readFileSync(path, "utf8") };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "it is no path";
    return { fault: `must be a file that can be read: ${code}` };
  }
}
