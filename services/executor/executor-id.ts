import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { type ExecutorId, IDENTIFIER_PATTERN } from "../common/domain/identifier.ts";
import type { Random } from "../common/port/random.ts";

/** Characters of the host's name in an identifier that is drawn. */
const MAX_HOST = 40;

/** The executor_id kept in a data folder, which this process holds; drawn and written down the first time. */
export function keptExecutorId(dataDir: string, random: Random): ExecutorId {
  const path = join(dataDir, "executor-id");
  const kept = read(path);
  if (kept !== null) return kept;
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, MAX_HOST);
  const drawn = `${host}-${Buffer.from(random.bytes(4)).toString("hex")}` as ExecutorId;
  writeFileSync(path, `${drawn}\n`);
  return drawn;
}

function read(path: string): ExecutorId | null {
  try {
    const text = readFileSync(path, "utf8").trim();
    return IDENTIFIER_PATTERN.test(text) ? (text as ExecutorId) : null;
  } catch {
    return null;
  }
}
