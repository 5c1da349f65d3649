import type { Writable } from "node:stream";
import type { JobmeshError } from "../error/jobmesh-error.ts";
import { type StatusParts, toStatusParts } from "./status.ts";
import type { StreamSide } from "./stream.ts";

/** The server's side of a stream: its end is a status. */
export class ServerSide implements StreamSide {
  readonly #call: Writable;
  readonly #report: (error: JobmeshError) => void;
  #finished = false;

  constructor(call: Writable, report: (error: JobmeshError) => void) {
    this.#call = call;
    this.#report = report;
    call.on("finish", () => {
      this.#finished = true;
    });
  }

  /** True when the status was handed to the connection: a cancellation that comes then is grpc-js tidying up. */
  get finished(): boolean {
    return this.#finished;
  }

  end(): void {
    this.#call.end();
  }

  abort(error: JobmeshError, drop: boolean): void {
    this.#report(error);
    const parts = toStatusParts(error);
    if (drop && sendStatusNow(this.#call, parts)) this.#call.destroy();
    else this.#call.emit("error", Object.assign(new Error(error.message), parts)); // grpc-js: flush, then this status.
  }
}

/**
 * Ends a call ahead of what its stream has buffered. grpc-js has no public way;
 * its stream holds the call in a field, and where that ever changes the buffer
 * is flushed first, as for any other error.
 */
function sendStatusNow(stream: Writable, parts: StatusParts): boolean {
  const call: unknown = "call" in stream ? stream.call : null;
  if (typeof call !== "object" || call === null || !("sendStatus" in call)) return false;
  if (typeof call.sendStatus !== "function") return false;
  call.sendStatus(parts);
  return true;
}
