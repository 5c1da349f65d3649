/**
 * Plants one fault in the production code as it is loaded: `node --import ./tests/sim/mutate.ts` with
 * JOBMESH_SIM_MUTATION=NAME. The text of one file is replaced before Node compiles it; the code itself has no branch
 * for it. A text that is not found, or found twice, ends the process: the mutation has to follow the code.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { mutations } from "./mutations.ts";

const root = join(import.meta.dirname, "../..");
const name = process.env.JOBMESH_SIM_MUTATION ?? "";
const mutation = mutations.find((one) => one.name === name);
if (mutation === undefined) throw new Error(`there is no mutation "${name}"`);
const replacements = new Map<string, string>();
for (const { file, find, replace } of mutation.changes) {
  const url = pathToFileURL(join(root, file)).href;
  const text = replacements.get(url) ?? readFileSync(fileURLToPath(url), "utf8");
  const places = text.split(find).length - 1;
  if (places !== 1) throw new Error(`mutation "${name}": ${file} has its text ${places} times`);
  replacements.set(
    url,
    text.replace(find, () => replace),
  );
}

registerHooks({
  load(url, context, nextLoad) {
    const source = replacements.get(url);
    if (source === undefined) return nextLoad(url, context);
    return { format: "module-typescript", source, shortCircuit: true };
  },
});
