import type { Page } from "./store.ts";

/** A registered set of descriptors. */
export type DescriptorSet = {
  /** SHA-256 of the bytes, hex. */
  readonly hash: string;
  /** Serialized google.protobuf.FileDescriptorSet. */
  readonly bytes: Uint8Array;
  /** Full names of the methods found in it. */
  readonly methods: readonly string[];
};

/** A method with a stored descriptor. */
export type StoredMethod = {
  /** Full name, "package.Service/Method". */
  readonly method: string;
  /** Hash of the latest set that has it. */
  readonly hash: string;
  /** When that one was stored last, microseconds. */
  readonly storedUs: number;
};

/**
 * Descriptors of handlers; they outlive their executors. What executors register is the whole mesh's; what somebody put
 * is of one namespace. In a namespace both count, and of both the set that was stored last answers.
 */
export interface DescriptorStore {
  /** Of these hashes those that are not stored for the whole mesh. */
  missing(hashes: readonly string[]): Promise<readonly string[]>;
  /** Stores a set for one namespace; null for the whole mesh. */
  put(set: DescriptorSet, namespace?: string | null): Promise<void>;
  /** The latest set that has the method in a namespace; null when none was ever registered or put there. */
  forMethod(namespace: string, method: string): Promise<DescriptorSet | null>;
  /** The bytes of a set; null when it is not stored. */
  bytesOf(hash: string): Promise<Uint8Array | null>;
  /** A namespace's methods in order of their names. A page may be short and go on, where methods have very many versions. */
  methods(namespace: string, pageSize: number, pageToken: string | null): Promise<Page<StoredMethod>>;
}
