/** Faults to plant in the production code, each against a rule of docs/guarantees.md: what the judges have to see. */
import { busMutations } from "./mutations/bus.ts";
import { executorMutations } from "./mutations/executors.ts";
import { feedMutations } from "./mutations/feed.ts";
import { foundMutations } from "./mutations/found.ts";
import { heldMutations } from "./mutations/held.ts";
import { homeMutations } from "./mutations/homes.ts";
import { keyMutations } from "./mutations/keys.ts";
import type { Mutation } from "./mutations/mutation.ts";
import { pinMutations } from "./mutations/pins.ts";
import { schedulerMutations } from "./mutations/schedulers.ts";
import { storeMutations } from "./mutations/store.ts";

/** All of them. */
export const mutations: readonly Mutation[] = [
  ...storeMutations,
  ...keyMutations,
  ...schedulerMutations,
  ...executorMutations,
  ...heldMutations,
  ...homeMutations,
  ...busMutations,
  ...pinMutations,
  ...feedMutations,
  ...foundMutations,
];
