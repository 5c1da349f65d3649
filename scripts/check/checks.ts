import { runQuietly } from "../backend/installation.ts";
import { checkContractBreaking, checkContractLint, checkGenerated, checkLock } from "./drift.ts";

/** One check of the tree that is no test file. */
export interface Check {
  readonly name: string;
  /** Resolves with a note, empty when there is nothing to add; throws with what is wrong. */
  run(): Promise<string>;
}

/** Every check of `npm test`, in the order in which they are told. */
export const checks: readonly Check[] = [
  {
    name: "lint (biome)",
    run: () => silent("biome", ["check", "--error-on-warnings", "--reporter=concise", "--max-diagnostics=100"]),
  },
  { name: "types (tsc)", run: () => silent("tsc", ["--pretty", "false"]) },
  { name: "gen is generated from proto", run: checkGenerated },
  { name: "contract lint (buf)", run: checkContractLint },
  { name: "contract breaks no caller (buf)", run: checkContractBreaking },
  { name: "package-lock.json is whole", run: checkLock },
];

/** Runs a tool whose output matters only when it fails. */
async function silent(program: string, args: string[]): Promise<string> {
  await runQuietly(program, args, { maxLines: 200 });
  return "";
}
