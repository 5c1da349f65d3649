/**
 * kafkajs 2.2.4 keeps a timer on every connection that looks for requests held
 * back by a quota, also when there are none: its delay is "throttled until"
 * less now, that is below zero, so it fires each millisecond for ever (5 to 6 %
 * of a core in an idle process, and Node's TimeoutNegativeWarning). Requests
 * are held back only while some wait, and whoever adds one asks again, so the
 * timer is left out while none does. The project has had no release since.
 */
import { createRequire } from "node:module";

/** The part of kafkajs's RequestQueue that is changed. */
type RequestQueue = { readonly pending: readonly unknown[]; scheduleCheckPendingRequests(): void };

const queuePath = "kafkajs/src/network/requestQueue/index.js";
const { prototype } = createRequire(import.meta.url)(queuePath) as { prototype: RequestQueue };
const schedule = prototype.scheduleCheckPendingRequests;
prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
  if (this.pending.length > 0) schedule.call(this);
};
