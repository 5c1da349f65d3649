import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** One import, re-export or dynamic import of a file. */
export interface Import {
  /** As written, such as "../port/store.ts" or "kafkajs". */
  readonly specifier: string;
  /** The path from the repository's root for a relative import; the package's name for another, such as "node:fs". */
  readonly target: string;
  readonly line: number;
}

/** A source file of the repository, read for the rules. */
export interface SourceFile {
  /** From the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the contents of strings blanked, every line and column where it was. */
  readonly code: string;
  readonly imports: readonly Import[];
}

const sourceFolders = ["services", "scripts", "tests", "bench", "examples"];

/** Every TypeScript and JavaScript source of ours. The tests run at the repository's root. */
export function readSources(): SourceFile[] {
  const paths = sourceFolders.flatMap((folder) => globSync(`${folder}/**/*.{ts,mjs}`));
  const own = paths.map((path) => normalize(path)).filter((path) => !/(^|\/)(node_modules|gen)\//.test(path));
  return own.sort().map((path) => sourceFile(path, readFileSync(path, "utf8")));
}

/** Every page of ours: the root's and those of the folders that have some. */
export function readPages(): { path: string; text: string }[] {
  const folders = [...sourceFolders, "docs", "deploy", ".github"].filter((folder) => existsSync(folder));
  const paths = [...globSync("*.md"), ...folders.flatMap((folder) => globSync(`${folder}/**/*.md`))];
  const own = paths.filter((path) => !path.includes("node_modules/"));
  return own.sort().map((path) => ({ path, text: readFileSync(path, "utf8") }));
}

/** Takes a text apart as the rules need it. */
export function sourceFile(path: string, text: string): SourceFile {
  const withStrings = blank(text, "comments");
  const imports: Import[] = [];
  const pattern = /(?:^|[;\n])\s*(?:import|export)\s[^;"']*?from\s*"([^"]+)"|\bimport\s*\(?\s*"([^"]+)"/g;
  for (const match of withStrings.matchAll(pattern)) {
    const specifier = match[1] ?? match[2] ?? "";
    const isRelative = specifier.startsWith(".");
    const target = isRelative ? normalize(join(dirname(path), specifier)) : packageOf(specifier);
    imports.push({ specifier, target, line: lineAt(text, match.index + match[0].length) });
  }
  return { path, text, code: blank(text, "comments and strings"), imports };
}

/** The line, from 1, that an offset of a text is on. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function packageOf(specifier: string): string {
  if (specifier.startsWith("node:")) return specifier;
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** One token that matters here: a comment, a string, a template without its holes, or a regular expression. */
const token =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`|(?<=(?:^|[(,=:[!&|?{};+\-*%<>~^]|\breturn)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/[a-z]*|[{}]/gm;

function blank(text: string, what: "comments" | "comments and strings"): string {
  let blanked = "";
  let copied = 0;
  /** The depth of braces at which each open template goes on. */
  const templates: number[] = [];
  let depth = 0;
  const wipe = (from: number, to: number): void => {
    blanked += text.slice(copied, from) + text.slice(from, to).replace(/[^\n]/g, " ");
    copied = to;
  };
  token.lastIndex = 0;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const found = match[0];
    const end = match.index + found.length;
    if (found === "{") depth++;
    else if (found === "}" && templates.at(-1) === depth) {
      templates.pop();
      token.lastIndex = templateEnd(end);
    } else if (found === "}") depth--;
    else if (found === "`") token.lastIndex = templateEnd(end);
    else if (found.startsWith("//") || found.startsWith("/*")) wipe(match.index, end);
    else if (what === "comments and strings") wipe(match.index + 1, end - 1);
  }
  return blanked + text.slice(copied);

  /** Wipes a template's text from `from` to its end or next hole; gives where code goes on. */
  function templateEnd(from: number): number {
    const rest = /\\[\s\S]|\$\{|`/g;
    rest.lastIndex = from;
    let stop = rest.exec(text);
    while (stop?.[0].startsWith("\\")) stop = rest.exec(text);
    const end = stop?.index ?? text.length;
    if (what === "comments and strings") wipe(from, end);
    if (stop?.[0] === "${") templates.push(depth);
    return end + (stop?.[0].length ?? 0);
  }
}
