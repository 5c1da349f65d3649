import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** What `info` of a stand-in does. */
export type Answer = "answers" | "refuses" | "hangs";

/**
 * Written in sh: it notes each call in a line, its parts parted by tabs, and knows no more of a container than whether
 * it runs. The file "missing" is there while the image is to be pulled, "offline" while that fails,
 * "taken" while its port is another's, "broken" while it ends as soon as it is started.
 */
function script(answer: Answer): string {
  const info = { answers: "exit 0", refuses: "echo 'no daemon' >&2; exit 1", hangs: "exec sleep 60" }[answer];
  return `#!/bin/sh
cd "$(dirname "$0")" || exit 9
line=$(basename "$0")
for part in "$@"; do line="$line	$part"; done
echo "$line" >>calls
case "$1" in
info) ${info} ;;
image) test ! -e missing ;;
pull) if test -e offline; then echo "no network" >&2; exit 1; fi; rm missing ;;
run) if test -e taken; then rm taken; echo "Bind failed: port is already allocated" >&2; exit 125; fi; echo true >running ;;
start) if test -e broken; then echo false >running; else echo true >running; fi ;;
stop | kill | rm) echo false >running ;;
inspect) cat running ;;
logs) echo "last words" >&2 ;;
esac
`;
}

/** Stand-ins of container engines, first on PATH until disposed of, and what they were asked. */
export class FakeEngines {
  readonly folder = mkdtempSync(join(tmpdir(), "jm-fake-engine-"));

  constructor(answers: Readonly<Record<"docker" | "podman", Answer>>) {
    for (const [name, answer] of Object.entries(answers)) {
      writeFileSync(join(this.folder, name), script(answer));
      chmodSync(join(this.folder, name), 0o755);
    }
    process.env.PATH = [this.folder, process.env.PATH].join(delimiter);
  }

  /** Takes them from PATH and removes them. */
  [Symbol.dispose](): void {
    const folders = (process.env.PATH ?? "").split(delimiter);
    process.env.PATH = folders.filter((folder) => folder !== this.folder).join(delimiter);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Makes a file that changes what the stand-ins do. */
  mark(name: "missing" | "offline" | "taken" | "broken"): void {
    writeFileSync(join(this.folder, name), "");
  }

  /** What the container's state file says: whether it runs. */
  isRunning(): boolean {
    const file = join(this.folder, "running");
    return existsSync(file) && readFileSync(file, "utf8").trim() === "true";
  }

  /** The command lines so far, parts parted by spaces, the container's random name as NAME. */
  calls(): string[] {
    const file = join(this.folder, "calls");
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    return lines.map((line) => line.replaceAll("\t", " ").replace(/jobmesh-test-[0-9a-f]{12}/, "NAME"));
  }

  /** Waits until such a call was made. */
  async called(pattern: RegExp): Promise<void> {
    const isThere = (): boolean => this.calls().some((call) => pattern.test(call));
    const { promise, resolve } = Promise.withResolvers<void>();
    const watcher = watch(this.folder, () => {
      if (isThere()) resolve();
    });
    try {
      if (!isThere()) await promise;
    } finally {
      watcher.close();
    }
  }
}
