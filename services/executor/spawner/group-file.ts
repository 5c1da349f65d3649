import { closeSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { type GroupRecord, parseGroups } from "./group-ledger.ts";
import type { LedgerFile } from "./port/ledger-file.ts";

/** GroupFile is the file of a GroupLedger, on disk. */
export class GroupFile implements LedgerFile {
  readonly #path: string;
  #descriptor: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Written beside and renamed. */
  replace(text: string): number {
    const descriptor = openSync(`${this.#path}.new`, "w", 0o600);
    const bytes = writeSync(descriptor, text);
    renameSync(`${this.#path}.new`, this.#path);
    this.close();
    this.#descriptor = descriptor;
    return bytes;
  }

  append(text: string): number {
    return this.#descriptor === undefined ? 0 : writeSync(this.#descriptor, text);
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** Text of a file of groups; undefined when there is none. */
export function groupFileText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** What a file of groups says; undefined when there is none or its head is not ours. */
export function readGroupFile(path: string): GroupRecord | undefined {
  return parseGroups(groupFileText(path) ?? "");
}
