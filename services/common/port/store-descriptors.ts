/** A registered set of descriptors. */
export type DescriptorSet = {
  /** SHA-256 of the bytes, hex. */
  readonly hash: string;
  /** Serialized google.protobuf.FileDescriptorSet. */
  readonly bytes: Uint8Array;
  /** Full names of the methods found in it. */
  readonly methods: readonly string[];
};

/** Descriptors of handlers; they outlive their executors. */
export interface DescriptorStore {
  /** Of these hashes those that are not stored. */
  missing(hashes: readonly string[]): Promise<readonly string[]>;
  put(set: DescriptorSet): Promise<void>;
  /** The latest set that has the method; null when none was ever registered. */
  forMethod(method: string): Promise<DescriptorSet | null>;
}
