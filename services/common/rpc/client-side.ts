import type { ClientDuplexStream, StatusObject } from "@grpc/grpc-js";
import type { JobmeshError } from "../error/jobmesh-error.ts";
import { errorFromServiceError } from "./status.ts";
import type { StreamSide } from "./stream.ts";

/** The client's side of a stream: its end is a half close, its abort a cancellation. */
export class ClientSide implements StreamSide {
  readonly #call: ClientDuplexStream<unknown, unknown>;

  constructor(call: ClientDuplexStream<unknown, unknown>) {
    this.#call = call;
  }

  /** Calls back when the server has ended the call: null for OK. */
  onOver(callback: (error: JobmeshError | null) => void): void {
    this.#call.on("error", (thrown) => callback(errorFromServiceError(thrown)));
    this.#call.on("status", (status: StatusObject) => {
      if (status.code === 0) callback(null);
      else callback(errorFromServiceError(Object.assign(new Error(status.details), status)));
    });
  }

  end(): void {
    this.#call.end();
  }

  abort(): void {
    this.#call.cancel();
  }
}
