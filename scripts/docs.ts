/** Writes the pages of docs/ that are rendered from tables in the code; tests compare them. */
import { writeFile } from "node:fs/promises";
import { renderConfigTable } from "../services/common/config/render-settings.ts";
import { renderErrorTable } from "../services/common/error/error-table.ts";
import { renderTelemetryTable } from "../services/common/telemetry/telemetry-table.ts";

await Promise.all([
  writeFile("docs/errors.md", renderErrorTable()),
  writeFile("docs/config.md", renderConfigTable()),
  writeFile("docs/telemetry.md", renderTelemetryTable()),
]);
