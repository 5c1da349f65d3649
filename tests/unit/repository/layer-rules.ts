/** Who may import what (ARCHITECTURE.md: domain ← port ← adapters and loops ← main; one vendor, one folder). */
import { matchesGlob } from "node:path";
import type { SourceFile } from "./source-file.ts";

/** One breach of a rule, as "file:line: what is wrong: what to do". */
export type Finding = string;

/** Where each package may be imported under services/. A package that is not named here may be imported nowhere. */
export const vendorHomes: Readonly<Record<string, readonly string[]>> = {
  "@grpc/grpc-js": ["services/common/rpc/**"],
  typeorm: ["services/common/adapter/{mysql,sqlite,sql}/**"],
  mysql2: ["services/common/adapter/{mysql,sql}/**"],
  "better-sqlite3": ["services/common/adapter/sqlite/**"],
  kafkajs: ["services/common/adapter/kafka/**"],
  etcd3: ["services/common/adapter/etcd/**"],
  "cron-parser": ["services/common/domain/schedule/**"],
  pino: ["services/common/runtime/**"],
  "@bufbuild/protobuf": [
    "services/common/{rpc,wire}/**",
    "services/scheduler/{api,sessions}/**",
    "services/executor/target/**",
  ],
  "@opentelemetry/api": [
    "services/common/{telemetry,rpc,wire}/**",
    "services/common/adapter/**",
    "services/{scheduler,executor}/**",
  ],
};

/** OpenTelemetry's SDK and exporters, all packages of it but the API. */
const telemetrySdkHome = "services/common/telemetry/**";

/** What files under `from` may import by relative path; a layer that is not named may import all of its service. */
const layers: readonly { from: string; may: readonly string[]; because: string }[] = [
  {
    from: "services/common/domain/**",
    may: ["services/common/domain/**"],
    because: "the domain is pure and knows nobody: move what needs more out to a port or a loop",
  },
  {
    from: "services/common/port/**",
    may: ["services/common/{domain,port}/**"],
    because: "a port speaks in domain types only: turn rows and messages into them inside the adapter",
  },
  {
    from: "services/common/adapter/{mysql,sqlite,sql}/**",
    may: [
      "services/common/adapter/{mysql,sqlite,sql}/**",
      "services/common/{domain,port,error,config,telemetry,runtime}/**",
    ],
    because: "a store adapter knows its vendor, the ports and the domain, not gen, rpc or another adapter",
  },
  ...["kafka", "session", "etcd", "memory"].map((name) => ({
    from: `services/common/adapter/${name}/**`,
    may: [
      `services/common/adapter/${name}/**`,
      "services/common/{domain,port,error,config,security,telemetry,runtime,wire,rpc}/**",
      ...(name === "kafka" || name === "session" ? ["gen/**"] : []),
    ],
    because: "an adapter knows its vendor, the ports and the domain, not another adapter",
  })),
  { from: "services/common/**", may: ["services/common/**", "gen/**"], because: "common is beneath every service" },
  {
    from: "services/scheduler/{timer,dispatch,results,rescue,retention}/**",
    may: ["services/scheduler/**", "services/common/**"],
    because: "a loop works on domain types: gen is turned into them in services/common/wire or the api",
  },
  ...["scheduler", "executor", "client"].map((name) => ({
    from: `services/${name}/**`,
    may: [`services/${name}/**`, "services/common/**", "gen/**"],
    because: "services never import each other: move what both need to services/common",
  })),
  { from: "services/**", may: ["services/**", "gen/**"], because: "product code never imports tests or scripts" },
];

/** Node's own modules with I/O, time or randomness, which the domain and the ports do without. */
const pureNodeModules = ["node:crypto", "node:assert", "node:assert/strict"];

/** Every import of a file that its layer does not allow. */
export function findLayerBreaches({ path, imports }: SourceFile): Finding[] {
  const findings: Finding[] = [];
  for (const { specifier, target, line } of imports) {
    const problem = specifier.startsWith(".") ? layerProblem(path, target) : packageProblem(path, target);
    if (problem) findings.push(`${path}:${line}: imports ${specifier}: ${problem}`);
  }
  return findings;
}

function layerProblem(path: string, target: string): string | undefined {
  const layer = layers.find(({ from }) => matchesGlob(path, from));
  return !layer || isIn(target, layer.may) ? undefined : layer.because;
}

function packageProblem(path: string, name: string): string | undefined {
  if (!path.startsWith("services/")) return undefined;
  const isInner = isIn(path, ["services/common/{domain,port}/**"]);
  if (name.startsWith("node:")) {
    return isInner && !pureNodeModules.includes(name)
      ? "no I/O here: take a port, or a value, from the caller"
      : undefined;
  }
  const homes = vendorHomes[name] ?? (name.startsWith("@opentelemetry/") ? [telemetrySdkHome] : []);
  if (isIn(path, homes)) return undefined;
  return homes.length === 0
    ? "no folder is its home: name one in layer-rules.ts, or do without the package"
    : `one vendor, one folder: only ${homes.join(", ")} may, go through what it exports`;
}

function isIn(path: string, globs: readonly string[]): boolean {
  return globs.some((glob) => matchesGlob(path, glob));
}
