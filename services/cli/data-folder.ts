import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { JobmeshError } from "../common/error/jobmesh-error.ts";

/** Stands in a new data folder until the mesh has begun in it: a start that fails before leaves it new. */
const NEW_MARK = "new";

/** The data folder of the embedded mesh. */
export type DataFolder = {
  /** True until a mesh has begun in it. */
  readonly isNew: boolean;
  /** Notes that a mesh has begun in it. */
  begun(): void;
};

/** Makes the folder where it is missing. Throws DATA_DIR_UNUSABLE when nothing can be written there. */
export function openDataFolder(dataDir: string): DataFolder {
  const path = resolve(dataDir);
  const mark = join(path, NEW_MARK);
  try {
    makeFolder(path);
    const names = readdirSync(path);
    if (names.length === 0) writeFileSync(mark, "");
    const isNew = names.length === 0 || names.includes(NEW_MARK);
    return { isNew, begun: () => rmSync(mark, { force: true }) };
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new JobmeshError("DATA_DIR_UNUSABLE", { message: `the data folder ${path} cannot be used: ${words}`, cause });
  }
}

/** Node's own recursion never ends below a folder like /proc, which exists and says ENOENT. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    makeFolder(dirname(path));
    mkdirSync(path);
  }
}
