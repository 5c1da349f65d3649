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

/** Descriptors of handlers; they outlive their executors. */
export interface DescriptorStore {
  /** Of these hashes those that are not stored. */
  missing(hashes: readonly string[]): Promise<readonly string[]>;
  put(set: DescriptorSet): Promise<void>;
  /** The latest set that has the method; null when none was ever registered. */
  forMethod(method: string): Promise<DescriptorSet | null>;
  /** The bytes of a set; null when it is not stored. */
  bytesOf(hash: string): Promise<Uint8Array | null>;
  /** Methods in order of their names. A page may be short and go on, where methods have very many versions. */
  methods(pageSize: number, pageToken: string | null): Promise<Page<StoredMethod>>;
}
