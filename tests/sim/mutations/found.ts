/** Faults that the product really had, planted again: the track record of docs/simulator.md. */
import type { Mutation } from "./mutation.ts";

export const foundMutations: readonly Mutation[] = [
  {
    name: "calls are taken before mesh time is known",
    rules: [12],
    changes: [
      {
        file: "services/scheduler/scheduler.ts",
        find: "      if (!this.#isMeasured) throw notRunning();",
        replace: "",
      },
    ],
  },
  {
    name: "what died with its spawner is said not to have run",
    rules: [21, 22],
    changes: [
      {
        file: "services/executor/spawner/spawner.ts",
        find: 'command.end({ kind: "cut_off", message, mayHaveRun: true })',
        replace: 'command.end({ kind: "cut_off", message })',
      },
    ],
  },
  {
    name: "links between schedulers end at once",
    rules: [31],
    changes: [
      {
        file: "services/scheduler/scheduler.ts",
        find: "this.#running === null ? stream.fail(notRunning()) : this.#running.peers.serve(stream, context),",
        replace: "this.#running?.peers.serve(stream, context) ?? stream.fail(notRunning()),",
      },
    ],
  },
  {
    name: "what was claimed under a session is counted again when it is sent again",
    rules: [20],
    changes: [
      {
        file: "services/scheduler/sessions/attempt-watch.ts",
        find: "sessions.get(text) !== session.executor.sessionNumber && !watched",
        replace: "!watched",
      },
    ],
  },
];
