/**
 * Values that break programs: ends of ranges and what lies behind them, texts that no text is, names that mean
 * something to JavaScript, SQL and file systems. None does harm where an executor runs it: commands come from
 * `TEXTS_OF`, and addresses are of this machine, where nothing listens.
 */

/** Whole numbers: limits of the contract, of int32 and int64, of Number. */
export const WHOLES: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 10n, 63n, 64n, 65n, 100n, 255n, 256n, 1_000n, 1_001n, 10_001n, 100_001n, 1_000_001n],
  ...[-1n, -2n, -1_000_000n, 2n ** 31n - 1n, 2n ** 31n, -(2n ** 31n), 2n ** 32n - 1n, 2n ** 32n],
  ...[2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n],
];

/** Numbers of a double. */
export const DOUBLES: readonly number[] = [
  ...[0, -0, 0.5, 1, 2, -1, 1e-320, 1e308, -1e308, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
];

/** Seconds of a Timestamp or a Duration: now and then, their own limits, and beyond. */
export const SECONDS: readonly bigint[] = [
  ...[0n, 1n, 5n, 60n, 3_600n, 86_400n, -1n, -60n, 1_700_000_000n, 4_000_000_000n],
  ...[253_402_300_799n, 253_402_300_800n, -62_135_596_800n, -62_135_596_801n, 315_576_000_000n, 315_576_000_001n],
  ...[9_007_199_254n, 9_007_199_255n, 9_223_372_036_854n, 9_223_372_036_855n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)],
];

/** Nanoseconds of the same. */
export const NANOS: readonly bigint[] = [
  0n,
  0n,
  0n,
  1n,
  500_000_000n,
  999_999_999n,
  1_000_000_000n,
  -1n,
  2n ** 31n - 1n,
];

/** Bytes that are no UTF-8: lone surrogates, an overlong NUL, a cut character, bytes that never stand in UTF-8. */
const BROKEN_TEXTS: readonly Buffer[] = [
  ...["eda080", "61edb08062", "c080", "f09f98", "fe", "ff61", "f4908080"].map((hex) => Buffer.from(hex, "hex")),
];

const PLAIN_TEXTS: readonly string[] = [
  ...["", " ", "a", "A-1_.z", "default", "x".repeat(63), "x".repeat(64), "x".repeat(65), "x".repeat(255)],
  ...["x".repeat(256), "x".repeat(1_001), "😀".repeat(64), "é".repeat(255), "a\u0000b", "\u0000", "\r\n", "\u2028"],
  ...["e\u0301", "\u202edlrow", "\ufeff", "\uffff", "😀", "%00", "%s", "' OR 1=1 --", "`", "\\", '"', "../../etc", "/"],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "-1", "0", "1e309", "NaN", "null", "[]", "{}", "%"],
  ...[
    "\u0024{secret:NONE}",
    "\u0024{secret:../x}",
    "{{a}}",
    "{{",
    "\u0024{a}",
    "1;2",
    "a=b",
    "a b",
    "a.b",
    "a/b",
    "*",
    "_",
  ],
];

/** Texts for any field. */
export const TEXTS: readonly Buffer[] = [
  ...PLAIN_TEXTS.map((text) => Buffer.from(text)),
  ...BROKEN_TEXTS,
  Buffer.alloc(70_000, "y"),
  Buffer.alloc(20_000, "😀"),
];

/** Texts that have a meaning where they stand, by the end of the field's name; every second one is right. */
export const TEXTS_OF: Readonly<Record<string, readonly string[]>> = {
  namespace: ["", "default", "fuzz", "no such"],
  job_id: ["kept", "kept", "j1", "j2", "j3", ""],
  // Not the real one: a drain of it is a right request, after which nothing runs.
  executor_id: ["e1", "e2", "e3", ""],
  incarnation: ["i1", "i2", "i3", ""],
  request_id: ["", "r1", "r2", "r3"],
  unique_key: ["", "u1", "u2", "u3"],
  route: ["", "0", "1", "command", "default/command"],
  cron: ["* * * * *", "*/5 * * * * *", "0 0 31 2 *", "0 0 * * MON#5", "@daily", "* * * * * * *", "60 * * * *", "0-"],
  time_zone: ["", "UTC", "Europe/Berlin", "Australia/Lord_Howe", "Mars/Phobos", "+25:00", "../UTC"],
  command: ["true", "true", "exit 3", ""],
  url: ["http://127.0.0.1:1/", "http://[::1]:1/%zz", "http://169.254.169.254/", "ftp://x/", "http://", "//", "http:/a"],
  address: ["127.0.0.1:1", "[::1]:1", "etcd:///nobody", "dns:///127.0.0.1:1", "169.254.169.254:1", "unix:/x", ":", ""],
  method: ["acme.report.v1.ReportService/Render", "a.B/C", "GET", "POST", "/", "jobmesh.v1.JobService/GetJob", ""],
  capability: ["command", "grpc", "http", "a.B/C"],
  paths: ["name", "target", "schedule.cron", "policy", "*", "policy.retry.max_attempts", "uid", "a..b", "labels"],
  level: ["INFO"],
  fields_json: ["{}", "[", '{"a":1}', '"'],
  service: ["", "jobmesh.v1.JobService", "no.Such"],
  file_by_filename: ["jobmesh/v1/job.proto", "no.proto"],
  file_containing_symbol: ["jobmesh.v1.JobService", "jobmesh.v1.Job.name", "no.such"],
  containing_type: ["google.protobuf.FieldOptions", "no.Type"],
};
