import { JobmeshError } from "../error/jobmesh-error.ts";

/**
 * A handler of any kind for a method that this version does not have:
 * UNIMPLEMENTED with the reason NOT_IMPLEMENTED. `name` is "package.Service/Method".
 */
export function unimplemented(name: string): () => never {
  return () => {
    throw new JobmeshError("NOT_IMPLEMENTED", {
      message: `${name} is not part of this version`,
      metadata: { method: name },
    });
  };
}
