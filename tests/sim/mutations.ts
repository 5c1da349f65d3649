/** Faults to plant in the production code, each against a rule of docs/guarantees.md: what the judges have to see. */
import { busMutations } from "./mutations/bus.ts";
import { executorMutations } from "./mutations/executors.ts";
import { foundMutations } from "./mutations/found.ts";
import { homeMutations } from "./mutations/homes.ts";
import type { Mutation } from "./mutations/mutation.ts";
import { pinMutations } from "./mutations/pins.ts";
import { schedulerMutations } from "./mutations/schedulers.ts";
import { storeMutations } from "./mutations/store.ts";

/** All of them. */
export const mutations: readonly Mutation[] = [
  ...storeMutations,
  ...schedulerMutations,
  ...executorMutations,
  ...homeMutations,
  ...busMutations,
  ...pinMutations,
  ...foundMutations,
];
