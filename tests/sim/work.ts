/** What a simulated target does: how long it takes, how it ends, whether it listens to its signal. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import type { Target } from "../../gen/jobmesh/v1/job.ts";
import { command, handler } from "../../services/client/targets.ts";
import { methodDescriptors } from "../../services/executor/target/descriptors.ts";
import type { HandlerDefinition } from "../../services/executor/target/handler.ts";
import { HandlerError } from "../../services/executor/target/handler-error.ts";
import { type Handler, handlerDefinition, methodName } from "../../services/executor/target/typed-handler.ts";
import { commandLine } from "./command.ts";
import type { SimProcess } from "./process.ts";
import type { OutsideRecord, RunEnd } from "./record.ts";

/** One try: how long it takes by itself, and how it ends then. */
export type Try = { readonly durationMs: number; readonly end: "succeed" | "fail" | "fail for good" };

/** What an execution's attempts do: the first try, the second, and the last one for all that follow. */
export type WorkPlan = {
  readonly tries: readonly Try[];
  readonly ignoresSignal: boolean;
  readonly lines: number;
  /** What no store takes: a line of a command, the failure of a handler. Empty for none. */
  readonly unstorable?: string;
  /** Each attempt of its handler ends with its executor's process. */
  readonly isPoison?: boolean;
  /** What the templates of its target became; none has none. */
  readonly filled?: string;
};

/** How long a target that listens takes to end when it is told to, milliseconds. */
const SETTLE_MS = 20;

/** The try of an attempt. */
function tryOf(plan: WorkPlan, attempt: number): Try {
  return plan.tries[Math.min(attempt, plan.tries.length) - 1] ?? { durationMs: 0, end: "succeed" };
}

/** The command target of a plan: its first try, at each attempt. */
export function commandTarget(plan: WorkPlan): Target {
  const { durationMs, end } = tryOf(plan, 1);
  const lines = Array.from({ length: plan.lines }, (_, line) => `line ${line + 1}`);
  if (plan.unstorable !== undefined) lines.push(plan.unstorable);
  const lingersMs = plan.lines === 2 ? 200 : 0;
  return command(
    commandLine({ durationMs, exitCode: end === "succeed" ? 0 : 1, lines, ignoresTerm: plan.ignoresSignal, lingersMs }),
  );
}

/** What a successful handler answers: who ran it, so that a result can be told from another's. */
function answerOf(executionId: string, attempt: number): string {
  return `${executionId} ${attempt}`;
}

/** The target that a plan is submitted as: a typed call of the report example, with the plan as its title. */
export function handlerTarget(plan: WorkPlan): Target {
  if (plan.lines === 0) return handler(ReportServiceService.render, { title: JSON.stringify(plan), rows: [] });
  const value = { title: JSON.stringify({ ...plan, filled: TEMPLATES }) };
  const payload = { $case: "requestJson", value } as const;
  return { kind: { $case: "handler", value: { method: methodName(ReportServiceService.render), payload } } };
}

/** Parameters of all that is submitted, and of all jobs. */
export const PARAMETERS = { mark: "as given" };
/** What every plan that writes lines leaves to be filled in. */
const TEMPLATES = "{{execution_id}} {{attempt}} {{parameters.mark}}";

/** What the templates of an attempt have to become. */
export function filledOf(executionId: string, attempt: number): string {
  return `${executionId} ${attempt} ${PARAMETERS.mark}`;
}

const descriptors = methodDescriptors(
  readFileSync(join(import.meta.dirname, "../../examples/report/gen/descriptors.binpb")),
  methodName(ReportServiceService.render),
);

/** The descriptor set of the handler. */
export function descriptorSet(hash: string): Uint8Array | undefined {
  return hash === descriptors.hash ? descriptors.bytes : undefined;
}

/** The handler that does what the request says, in virtual time. @param crash ends its process */
export function simHandler(
  record: OutsideRecord,
  process: SimProcess,
  node: string,
  crash: () => void,
): HandlerDefinition {
  const work: Handler<typeof ReportServiceService.render> = (request, context) => {
    const plan = JSON.parse(request.title) as WorkPlan;
    const { executionId, attempt, signal } = context;
    const own = tryOf(plan, attempt);
    const told = plan.filled === undefined ? {} : { filled: plan.filled };
    const run = record.start({ executionId, attempt, node, process: process.name, kind: "handler", ...told });
    process.onDeath(() => record.end(run, "died"));
    for (let line = 1; line <= plan.lines; line++) {
      run.lines.push(`line ${line} of ${attempt}`);
      context.log.info(`line ${line} of ${attempt}`);
    }
    return new Promise((resolve, reject) => {
      const settle = (how: RunEnd, then: () => void): void => {
        timer.cancel();
        record.end(run, how);
        then();
      };
      const timer = process.setTimer(own.durationMs, () => {
        if (plan.isPoison === true) return crash();
        if (own.end === "succeed") {
          return settle("succeeded", () => resolve({ text: answerOf(executionId, attempt), sum: 0n }));
        }
        const nonRetryable = own.end === "fail for good";
        const message = plan.unstorable ?? "the try fails";
        settle("failed", () => reject(new HandlerError("SIM", message, { nonRetryable })));
      });
      if (plan.ignoresSignal) return;
      const onTold = (): void => {
        process.setTimer(SETTLE_MS, () => settle("stopped", () => reject(new Error("told to end"))));
      };
      if (signal.aborted) onTold();
      else signal.addEventListener("abort", onTold, { once: true });
    });
  };
  return handlerDefinition(ReportServiceService.render, work, 0, descriptors);
}
