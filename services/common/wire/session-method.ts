import type { SessionDown, SessionUp } from "../domain/session.ts";
import { decodeSessionUp, encodeSessionUp } from "./session-request.ts";
import { decodeSessionDown, encodeSessionDown } from "./session-response.ts";

/**
 * ExecutorService.Session as a method whose messages are the domain's: both
 * ends of a session speak SessionUp and SessionDown, and what travels is
 * exactly SessionRequest and SessionResponse.
 */
export const sessionMethod = {
  path: "/jobmesh.v1.ExecutorService/Session",
  requestStream: true,
  responseStream: true,
  requestSerialize: (message: SessionUp): Buffer => encodeSessionUp(message),
  requestDeserialize: (bytes: Buffer): SessionUp => decodeSessionUp(bytes),
  responseSerialize: (message: SessionDown): Buffer => encodeSessionDown(message),
  responseDeserialize: (bytes: Buffer): SessionDown => decodeSessionDown(bytes),
} as const;

/** ExecutorService for RpcServer.addService, with the domain's messages. */
export const sessionService = { session: sessionMethod } as const;
