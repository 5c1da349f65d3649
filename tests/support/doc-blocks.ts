import { globSync, readFileSync } from "node:fs";

/** A fenced block of a page. */
export type DocBlock = {
  readonly page: string;
  /** Line of the fence, from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
};

/** One command of an `sh` block, as it would be typed. */
export type DocCommand = {
  readonly page: string;
  readonly line: number;
  /** Without its trailing comment. */
  readonly text: string;
  /** The trailing comment; "" when there is none. It may say "exits N". */
  readonly comment: string;
  /** What the page says is shown, where a `text` block follows the command's; "…" stands for anything. */
  readonly shown: string | null;
};

/** The pages whose commands are run: README.md and docs/*.md. */
export function docPages(): string[] {
  return ["README.md", ...globSync("docs/*.md")].map((path) => path.replaceAll("\\", "/")).sort();
}

/** All fenced blocks of a page, in order. Throws for a fence that is indented or has no language: it would not be seen. */
export function blocksOf(page: string): DocBlock[] {
  const blocks: DocBlock[] = [];
  let open: { line: number; language: string; lines: string[] } | null = null;
  for (const [index, text] of readFileSync(page, "utf8").split("\n").entries()) {
    const fence = /^(\s*)```(\S*)\s*$/.exec(text);
    if (fence === null) {
      open?.lines.push(text);
    } else if (open !== null) {
      blocks.push({ page, line: open.line, language: open.language, text: open.lines.join("\n") });
      open = null;
    } else {
      const [, indent = "", language = ""] = fence;
      if (indent !== "" || language === "")
        throw new Error(`${page}:${index + 1}: a fence begins its line and names a language`);
      open = { line: index + 1, language, lines: [] };
    }
  }
  if (open !== null) throw new Error(`${page}:${open.line}: the fence is not closed`);
  return blocks;
}

/** The commands of a page's `sh` blocks, in order. */
export function commandsOf(page: string): DocCommand[] {
  const blocks = blocksOf(page);
  return blocks.flatMap((block, index) => {
    if (block.language !== "sh") return [];
    const next = blocks[index + 1];
    const commands = splitCommands(block);
    const last = commands.at(-1);
    if (next?.language !== "text" || last === undefined) return commands;
    return [...commands.slice(0, -1), { ...last, shown: next.text }];
  });
}

/** A command ends with its line, unless a quote is open, or a backslash, `|` or `&&` stands at the end. */
function splitCommands(block: DocBlock): DocCommand[] {
  const commands: DocCommand[] = [];
  let text = "";
  let first = block.line + 1;
  for (const [index, line] of block.text.split("\n").entries()) {
    if (text === "") first = block.line + 1 + index;
    text += text === "" ? line : `\n${line}`;
    const { isOpen, commentAt } = scan(text);
    if (isOpen) continue;
    const command = text.slice(0, commentAt).trim();
    const comment = text.slice(commentAt + 1).trim();
    if (command !== "") commands.push({ page: block.page, line: first, text: command, comment, shown: null });
    text = "";
  }
  if (text !== "") throw new Error(`${block.page}:${first}: the command does not end in its block`);
  return commands;
}

/** Whether a quote or a continued line is open at the end, and where a comment begins; the length when none does. */
function scan(text: string): { readonly isOpen: boolean; readonly commentAt: number } {
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? "";
    if (quote === "'") {
      if (char === "'") quote = "";
    } else if (char === "\\") {
      if (at + 1 >= text.length) return { isOpen: true, commentAt: text.length };
      at += 1;
    } else if (quote === '"') {
      if (char === '"') quote = "";
    } else if (char === "'" || char === '"') {
      quote = char;
    } else if (char === "#" && /^\s?$/.test(text[at - 1] ?? "")) {
      return { isOpen: false, commentAt: at };
    }
  }
  return { isOpen: quote !== "" || /(?:\||&&)\s*$/.test(text), commentAt: text.length };
}
