import { spawn } from "node:child_process";
import { ensureGrpcurl } from "../../scripts/tools.ts";

/** What grpcurl adds to the code of a status to make its exit code. */
const STATUS_EXIT = 64;

/** JSON as grpcurl prints and takes it. */
export type Json = { readonly [name: string]: unknown };

/** A status as grpcurl decodes it. */
export type DecodedStatus = {
  /** google.rpc.Code. */
  readonly code: number;
  readonly message: string;
  readonly details: readonly (Json & { readonly "@type": string })[];
};

/** How one call ended. */
export type CallOutcome = {
  readonly exitCode: number;
  /** Answers in order. */
  readonly messages: readonly Json[];
  /** null when the call ended well. */
  readonly status: DecodedStatus | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** The real grpcurl at one server: it knows nothing but what reflection tells it. */
export class Grpcurl {
  readonly #program: string;
  readonly #address: string;

  private constructor(program: string, address: string) {
    this.#program = program;
    this.#address = address;
  }

  /** Installs grpcurl where it is missing. */
  static async at(address: string): Promise<Grpcurl> {
    return new Grpcurl(await ensureGrpcurl(), address);
  }

  /** Calls a method; several messages go down one stream. */
  call(method: string, messages: Json | readonly Json[] = {}, flags: readonly string[] = []): Promise<CallOutcome> {
    const all = Array.isArray(messages) ? messages : [messages];
    return this.callWithText(method, all.map((message) => JSON.stringify(message)).join("\n"), flags);
  }

  /** Calls a method with the text as it stands. */
  callWithText(method: string, text: string, flags: readonly string[] = []): Promise<CallOutcome> {
    return this.#run(["-format-error", "-d", "@", ...flags, this.#address, method], text);
  }

  /** Lines of `grpcurl list [SYMBOL]`. */
  async list(symbol?: string): Promise<string[]> {
    const { stdout } = await this.#expectOk(["list", ...(symbol === undefined ? [] : [symbol])]);
    return stdout.trim().split("\n");
  }

  /** The text of `grpcurl describe SYMBOL`. */
  async describe(symbol: string): Promise<string> {
    return (await this.#expectOk(["describe", symbol])).stdout;
  }

  async #expectOk(words: readonly string[]): Promise<CallOutcome> {
    const outcome = await this.#run([this.#address, ...words], "");
    if (outcome.exitCode !== 0) throw new Error(`grpcurl ${words.join(" ")}: ${outcome.stderr}`);
    return outcome;
  }

  #run(args: readonly string[], input: string): Promise<CallOutcome> {
    const child = spawn(this.#program, ["-plaintext", ...args]);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    // One that fails before it has read all of its input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        const exitCode = code ?? -1;
        resolve({ exitCode, stdout, stderr, messages: messagesOf(stdout), status: statusOf(exitCode, stderr) });
      });
    });
  }
}

/** grpcurl prints each message over several lines; only the last one's brace stands alone at the left. */
function messagesOf(stdout: string): Json[] {
  if (!stdout.startsWith("{")) return [];
  return stdout
    .split(/^\}\n/m)
    .flatMap((text) => text.split(/^(?=\{\}$)/m))
    .filter((text) => text.trim() !== "")
    .map((text) => JSON.parse(text.trim() === "{}" ? text : `${text}}`));
}

function statusOf(exitCode: number, stderr: string): DecodedStatus | null {
  if (exitCode <= STATUS_EXIT || !stderr.startsWith("{")) return null;
  const { code, message, details = [] } = JSON.parse(stderr);
  return { code, message, details };
}
