/** Names of query parameters whose value is a credential, in any case, without dashes and underscores. */
const CREDENTIAL: ReadonlySet<string> = new Set([
  "accesskey",
  "accesstoken",
  "apikey",
  "apitoken",
  "auth",
  "authtoken",
  "authorization",
  "clientsecret",
  "credential",
  "jwt",
  "password",
  "passwd",
  "pwd",
  "refreshtoken",
  "secret",
  "secretkey",
  "sessionid",
  "sig",
  "signature",
  "token",
]);
/** Prefix of names in the queries of signed URLs. */
const SIGNED = /^x(amz|goog)(signature|credential|securitytoken)$/;
/** Names that are told of one URL. */
const MAX_NAMES = 16;

/**
 * Names in a URL's query, as given, whose values are credentials by their name:
 * lists, logs of servers on the way and whoever reads the job show them. The URL
 * may hold templates, so it is not parsed as one.
 */
export function queryCredentials(url: string): readonly string[] {
  const [sent = ""] = url.split("#", 1);
  const begin = sent.indexOf("?");
  if (begin === -1) return [];
  const names = new Set<string>();
  for (const [name, value] of new URLSearchParams(sent.slice(begin + 1))) {
    const plain = name.toLowerCase().replaceAll(/[-_.]/g, "");
    if (value !== "" && (CREDENTIAL.has(plain) || SIGNED.test(plain))) names.add(name.slice(0, 64));
    if (names.size === MAX_NAMES) break;
  }
  return [...names];
}
