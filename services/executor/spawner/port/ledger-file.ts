/** LedgerFile is where a spawner's GroupLedger is written. Whole or not at all: every call ends before it returns. */
export interface LedgerFile {
  /** Writes the file anew; at no moment is there a file without the old text or the new one. Returns its bytes. */
  replace(text: string): number;
  /** Adds to what this ledger wrote. Returns the bytes that were added. */
  append(text: string): number;
  /** Closes the file and leaves it. */
  close(): void;
}
