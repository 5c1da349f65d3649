import type { AttemptOutcome, AttemptResult } from "../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../services/common/domain/dispatch.ts";
import type { ExecutorProfile } from "../../services/common/domain/executor.ts";
import type { AttemptKey } from "../../services/common/domain/identifier.ts";
import type {
  HelloMessage,
  SessionDown,
  SessionUp,
  SlotCount,
  StopMessage,
} from "../../services/common/domain/session.ts";
import type { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import { inProcessSession } from "../../services/scheduler/sessions/in-process-session.ts";
import type { SessionService } from "../../services/scheduler/sessions/session-service.ts";

/** An executor's end of a session that says what the test says, and remembers what it hears. */
export class ScriptedExecutor {
  readonly profile: ExecutorProfile;
  readonly heard: SessionDown[] = [];
  /** Why the session ended: null in order, undefined while it stands. */
  closedBy: JobmeshError | null | undefined;
  readonly #link;
  #beats = 0;
  #results = 0;

  constructor(profile: ExecutorProfile, sessions: SessionService) {
    this.profile = profile;
    const { peer, link } = inProcessSession();
    this.#link = link;
    link.onMessages((messages) => void this.heard.push(...messages));
    link.onClosed((error) => {
      this.closedBy = error;
    });
    sessions.connect(peer);
  }

  /** True while the session stands. */
  get open(): boolean {
    return this.closedBy === undefined;
  }

  say(...messages: SessionUp[]): void {
    this.#link.send(messages);
  }

  hello(changes: Partial<HelloMessage> = {}): void {
    this.say({
      kind: "hello",
      profile: this.profile,
      sessionNumber: 1,
      taken: [],
      previousIncarnation: null,
      ...changes,
    });
  }

  /** A heartbeat: free slots and keys received of the executor as a whole, others as given. */
  beat(free: number, receivedCount = 0, others: readonly SlotCount[] = []): void {
    this.#beats += 1;
    this.say({
      kind: "heartbeat",
      sequence: this.#beats,
      slots: [{ capabilityIndex: null, free, receivedCount }, ...others],
      cpuLoad: 0.5,
      memoryBytes: 1_000,
      sendUs: 0,
    });
  }

  result(key: AttemptKey, outcome: AttemptOutcome, changes: Partial<AttemptResult> = {}): void {
    this.#results += 1;
    const { executorId, incarnation } = this.profile;
    const result: AttemptResult = {
      key,
      executorId,
      incarnation,
      outcome,
      startUs: 1,
      endUs: 2,
      exitCode: 0,
      output: "",
      errorOutput: "",
      outputPieceCount: 0,
      traceparent: "",
      ...changes,
    };
    this.say({ kind: "result", sequence: this.#results, result });
  }

  succeed(key: AttemptKey): void {
    this.result(key, { kind: "succeeded", result: new Uint8Array() });
  }

  /** Says no more; the home ends the stream. */
  end(): void {
    this.#link.end();
  }

  /** Drops the stream, as a broken connection does. */
  drop(): void {
    this.#link.drop();
  }

  of<K extends SessionDown["kind"]>(kind: K): Extract<SessionDown, { kind: K }>[] {
    return this.heard.filter((message): message is Extract<SessionDown, { kind: K }> => message.kind === kind);
  }

  get orders(): DispatchOrder[] {
    return this.of("dispatch").map(({ order }) => order);
  }

  get stops(): StopMessage[] {
    return this.of("stop");
  }
}
