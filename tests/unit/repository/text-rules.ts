/** What no source may contain, each with what to write instead. */
import { existsSync } from "node:fs";
import { matchesGlob } from "node:path";
import type { Finding } from "./layer-rules.ts";
import { lineAt, type SourceFile } from "./source-file.ts";

interface TextRule {
  /** Names the rule in its test. */
  readonly name: string;
  readonly pattern: RegExp;
  /** Whether comments and strings are searched too; only code by default. */
  readonly inWholeText?: boolean;
  readonly where: readonly string[];
  readonly except?: readonly string[];
  readonly instead: string;
}

const everywhere = ["**"];
const product = ["services/**"];
/** The real clock and randomness, and the spawner: a process beside the executor, with which it shares the machine's clock. */
const osBoundary = ["services/common/runtime/**", "services/executor/spawner/shared-clock.ts"];
const mains = [
  "services/*/main.ts",
  "services/*/*-main.ts",
  "services/cli/**",
  "services/executor/spawner/*process.ts",
];

/** The rules over text; a pattern finds each breach. */
export const textRules: readonly TextRule[] = [
  {
    name: "time comes from the Clock that is handed in",
    pattern: /\bDate\.now\s*\(|\bnew Date\(\s*\)|\bperformance\.now\s*\(|\bprocess\.hrtime\b/g,
    where: product,
    except: osBoundary,
    instead: "take a Clock: clock.wallUs() or clock.monotonicMs()",
  },
  {
    name: "timers come from the Clock that is handed in",
    pattern: /(?<![.\w])set(?:Timeout|Interval)\s*\(|\bAbortSignal\.timeout\s*\(/g,
    where: product,
    except: osBoundary,
    instead: "take a Clock: clock.setTimer(...) or clock.sleep(ms, signal)",
  },
  {
    name: "randomness comes from the Random that is handed in",
    pattern: /\bMath\.random\s*\(|\b(?:randomBytes|randomUUID|randomInt|getRandomValues)\s*\(/g,
    where: product,
    except: osBoundary,
    instead: "take a Random: random.unit(), random.bytes(n) or random.fence()",
  },
  {
    name: "only a main ends the process",
    pattern: /\bprocess\.(?:exit|abort)\s*\(/g,
    where: product,
    except: mains,
    instead: "throw, or resolve, and let the main decide",
  },
  {
    name: "only the command line prints",
    pattern: /\bconsole\.\w+\s*\(/g,
    where: product,
    except: ["services/cli/**"],
    instead: "take a Log, with a constant message and fields",
  },
  {
    name: "nothing is left for later in the text",
    pattern: /\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/g,
    inWholeText: true,
    where: everywhere,
    instead: "do it, or file an issue and remove the mark",
  },
  {
    name: "no type is switched off",
    pattern: /(?::|\bas|<|\|)\s*any\b(?!\s*[(=])/g,
    where: everywhere,
    instead: "unknown, and narrow it",
  },
  {
    name: "no check is silenced",
    pattern:
      /@ts-(?:ignore|nocheck|expect-error)|biome-ignore-all|biome-ignore lint\/\w+\/(?:noExcessive|noExplicitAny|noFloating)/g,
    inWholeText: true,
    where: everywhere,
    except: ["tests/unit/repository/**"],
    instead: "make it right; where a type must be refused, test it by assigning in a helper",
  },
  {
    name: "every test runs",
    pattern: /\b(?:test|it|describe|suite|t)\.(?:only|skip|todo)\s*\(|\{\s*(?:only|skip|todo):/g,
    where: ["tests/**", "examples/**"],
    instead: "make it run or remove it; what needs servers imports tests/support/backends.ts",
  },
  {
    name: "no test sleeps",
    pattern: /(?<![.\w])set(?:Timeout|Interval)\s*\(|timers\/promises/g,
    where: ["tests/**"],
    except: ["tests/support/**", "tests/unit/repository/**"],
    instead: "wait for an event or a signal, or use the virtual clock of tests/support",
  },
  {
    name: "no path of one machine is written down",
    pattern: /(?<![\w.}/])\/(?:work|root|home)\/\w/g,
    inWholeText: true,
    where: everywhere,
    instead: "a path from the repository's root, or a temporary folder",
  },
];

/** Files and folders are named for what is in them. */
export const namesThatSayNothing: readonly string[] = [
  "util",
  "utils",
  "helper",
  "helpers",
  "misc",
  "types",
  "manager",
];

/** Every breach of a text rule in a file. */
export function findTextBreaches(rule: TextRule, file: SourceFile): Finding[] {
  const isMeant = (globs: readonly string[]): boolean => globs.some((glob) => matchesGlob(file.path, glob));
  if (!isMeant(rule.where) || isMeant(rule.except ?? [])) return [];
  // An import's name of a module is a string, and is meant by the rules about timers.
  const modules = file.imports.map(({ specifier, line }) => ({ text: specifier, line }));
  const found = [...(rule.inWholeText ? file.text : file.code).matchAll(rule.pattern)].map((match) => ({
    text: match[0].trim(),
    line: lineAt(file.text, match.index),
  }));
  if (!rule.inWholeText) found.push(...modules.filter(({ text }) => new RegExp(rule.pattern.source).test(text)));
  return found.map(({ text, line }) => `${file.path}:${line}: ${text}: ${rule.instead}`);
}

/** Every exported declaration without a doc comment right above it. */
export function findUndocumented({ path, text, code }: SourceFile): Finding[] {
  const lines = text.split("\n");
  const findings: Finding[] = [];
  let previousName = "";
  for (const match of code.matchAll(declaration)) {
    const name = match[1] ?? "";
    const line = lineAt(code, match.index);
    const isOverload = name === previousName;
    previousName = name;
    if (isOverload || lines[line - 2]?.trimEnd().endsWith("*/")) continue;
    findings.push(
      `${path}:${line}: export ${name} has no doc comment: say its meaning, units, defaults and errors above it`,
    );
  }
  return findings;
}

const declaration =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:class|function\*?|interface|type|const|let)\s+(?!\{)([\w$]+)/gm;

/** Every path in back-ticks, and every relative link, of a page that leads to nothing. */
export function findDeadPaths({ path, text }: { path: string; text: string }): Finding[] {
  const findings: Finding[] = [];
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
  for (const match of text.matchAll(/`([^`\s]+)`|\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)) {
    const [, ticked, linked] = match;
    const target = (ticked ?? linked ?? "").replace(/:\d+$/, "");
    if (ticked !== undefined && !isOwnPath(target)) continue;
    if (existsSync(target) || existsSync(folder + target)) continue;
    findings.push(`${path}:${lineAt(text, match.index)}: ${target} does not exist: name what does, or remove it`);
  }
  return findings;
}

const ownFolders = /^(?:services|scripts|tests|bench|examples|proto|gen|deploy|docs|\.ci)\//;

/** Whether a text in back-ticks states a path of ours; one with a placeholder or pattern does not. */
function isOwnPath(text: string): boolean {
  if (/[*{}<>$|…]|\.\.\./.test(text)) return false;
  return ownFolders.test(text) || /^[\w.-]+\.(?:md|json|yaml|yml|mjs)$/.test(text);
}
