import { type FieldViolation, JobmeshError } from "../common/error/jobmesh-error.ts";

/** The flags that a command has beside the settings, each with whether it takes a value. */
export type OwnFlags = Readonly<Record<`--${string}`, "switch" | "value">>;

/** What a command line has of a command's own flags, and the rest of it. */
export type TakenFlags = { readonly given: ReadonlyMap<string, string>; readonly rest: readonly string[] };

/** Takes "--name value", "--name=value" and switches, up to "--". Throws CONFIG_INVALID with every fault. */
export function takeFlags(flags: OwnFlags, argv: readonly string[]): TakenFlags {
  const given = new Map<string, string>();
  const rest: string[] = [];
  const faults: FieldViolation[] = [];
  for (let place = 0; place < argv.length; place += 1) {
    const argument = argv[place] ?? "";
    if (argument === "--") {
      rest.push(...argv.slice(place));
      break;
    }
    const [, name = "", inline] = /^(--[^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
    const kind = Object.hasOwn(flags, name) ? flags[name as keyof OwnFlags] : undefined;
    if (kind === undefined) {
      rest.push(argument);
      continue;
    }
    const value = inline ?? (kind === "switch" ? "true" : argv[++place]);
    if (value === undefined || value === "") faults.push({ field: name, description: "needs a value" });
    else if (kind === "switch" && inline !== undefined) faults.push({ field: name, description: "takes no value" });
    else if (given.has(name)) faults.push({ field: name, description: "was given twice" });
    else given.set(name, value);
  }
  if (faults.length > 0) throw new JobmeshError("CONFIG_INVALID", { fieldViolations: faults });
  return { given, rest };
}

/** The whole number of a flag; 0 where it is not given. Throws CONFIG_INVALID. */
export function wholeOf({ given }: TakenFlags, flag: string): number {
  const text = given.get(flag) ?? "0";
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const description = `must be a whole number; was ${JSON.stringify(text.slice(0, 60))}`;
  throw new JobmeshError("CONFIG_INVALID", { fieldViolations: [{ field: flag, description }] });
}
