import { http } from "../../client/targets.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { withConnection } from "../connection.ts";
import { MAX_NAME_CHARACTERS, showExecution } from "../shown-execution.ts";

const USAGE = "jobmesh http [options] -- [METHOD] URL ['NAME: VALUE' …] [CONTENT]";
/** A word before the URL that is a method. */
const METHOD_PATTERN = /^[A-Z][A-Z-]*$/;
/** A word after the URL that is a header, as curl's -H takes it. */
const HEADER_PATTERN = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): *(.*)$/s;

/** `jobmesh http -- URL`: submits the request, shows the answer as it comes, exits with 0 after a 2xx. */
export function run(argv: readonly string[]): Promise<number> {
  return withConnection(argv, USAGE, async ({ client, rest }) => {
    const { method, url, headers, text } = readWords(rest);
    const target = http(url, { method, headers, ...(text === null ? {} : { text }) });
    const name = `${method} ${url}`.trim().slice(0, MAX_NAME_CHARACTERS);
    const { executionId } = await client.submit({ target, name });
    return showExecution(client, executionId);
  });
}

/** What the words of a request say. */
type Words = {
  /** Empty for the default. */
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string | null;
};

/** The method first where there is one, the URL, headers, at last the content. */
function readWords(words: readonly string[]): Words {
  const named = METHOD_PATTERN.test(words[0] ?? "");
  const [url, ...after] = named ? words.slice(1) : words;
  if (url === undefined) throw new JobmeshError("CONFIG_INVALID", { message: `http needs a URL: ${USAGE}` });
  const headers: Record<string, string> = {};
  let text: string | null = null;
  for (const [index, word] of after.entries()) {
    const [, name, value = ""] = HEADER_PATTERN.exec(word) ?? [];
    if (name !== undefined) headers[name] = value;
    else if (index === after.length - 1) text = word;
    else throw new JobmeshError("CONFIG_INVALID", { message: `${JSON.stringify(word)} is no header: ${USAGE}` });
  }
  return { method: named ? (words[0] ?? "") : "", url, headers, text };
}
