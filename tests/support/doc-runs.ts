import { commandsOf, type DocCommand } from "./doc-blocks.ts";

/** A command of the pages that is not run as it stands, and what covers it. */
export type NotRun = {
  readonly command: string;
  readonly why: string;
  /** A test file or script, and words in it. */
  readonly file: string;
  readonly test: string;
};

/** All commands that the tests of the pages do not run. */
export const NOT_RUN: readonly NotRun[] = [
  {
    command: "npm start",
    why: "it is the mesh that the other commands are run on, at the default ports",
    file: "tests/system/fresh-clone.test.ts",
    test: "npm start",
  },
  {
    command: "npm test",
    why: "it runs this test",
    file: ".ci/run",
    test: "npm test",
  },
];

/** Where a page turns to a mesh on real backends: from there to its end its commands run on those. */
const DISTRIBUTED = /^export JOBMESH_STORE=mysql:/;

/** The commands of a page that run on an embedded mesh. */
export function embeddedCommands(page: string): DocCommand[] {
  const commands = runnable(page);
  const turn = commands.findIndex(({ text }) => DISTRIBUTED.test(text));
  return turn < 0 ? commands : commands.slice(0, turn);
}

/** The commands of a page that run on a mesh on real backends. */
export function distributedCommands(page: string): DocCommand[] {
  const commands = runnable(page);
  const turn = commands.findIndex(({ text }) => DISTRIBUTED.test(text));
  return turn < 0 ? [] : commands.slice(turn);
}

function runnable(page: string): DocCommand[] {
  return commandsOf(page).filter(({ text }) => !NOT_RUN.some(({ command }) => command === text));
}
