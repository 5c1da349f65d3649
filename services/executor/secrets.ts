import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { SECRET_PREFIX } from "../common/config/load-config.ts";
import { isSecretName } from "../common/domain/template.ts";

/** Largest secret, in bytes: a chain of certificates and a key fit. */
export const MAX_SECRET_BYTES = 64 * 1024;

/** Why a secret cannot be had; its message names the secret, never what it is. */
export class SecretFault extends Error {
  override readonly name = "SecretFault";
}

/** SecretSource reads secrets by their names, anew each time, so that a secret that is changed counts at the next attempt. */
export interface SecretSource {
  /** Throws SecretFault where there is none, or none that can be used. */
  read(name: string): Promise<string>;
}

/** Where secrets are. */
export type SecretPlaces = {
  /** Folder with a file for each; null for none. */
  readonly folder: string | null;
  /** Variables: JOBMESH_SECRET_ and the name in capitals, with _ for what no variable's name holds. */
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/**
 * Secrets of an executor: a file of its folder, else a variable of its
 * environment. A file's last line break is left out. Nothing is kept between
 * reads, and only whole texts are answered: a pipe or a device, of which a read
 * might never end, is no secret.
 */
export class Secrets implements SecretSource {
  readonly #places: SecretPlaces;

  constructor(places: SecretPlaces) {
    this.#places = places;
  }

  async read(name: string): Promise<string> {
    if (!isSecretName(name)) throw new SecretFault("a secret's name is 1 to 128 of [A-Za-z0-9_.-]");
    const { folder, environment } = this.#places;
    const found = folder === null ? null : await ofFile(join(folder, name), name);
    const variable = variableOf(name);
    const value = found ?? environment[variable] ?? "";
    if (found === null && value === "") {
      const places = folder === null ? variable : `its file in JOBMESH_SECRETS_DIR and ${variable}`;
      throw new SecretFault(`the secret ${name} is unknown to this executor: ${places} not there`);
    }
    if (value === "") throw new SecretFault(`the secret ${name} is empty`);
    if (Buffer.byteLength(value) > MAX_SECRET_BYTES) throw tooLong(name);
    return value;
  }
}

/** The variable that a secret may be in. */
function variableOf(name: string): string {
  return SECRET_PREFIX + name.replaceAll(/[^A-Za-z0-9]/g, "_").toUpperCase();
}

/** null when there is no such file. */
async function ofFile(path: string, name: string): Promise<string | null> {
  let file: FileHandle;
  try {
    // Without blocking: the open of a pipe would wait for its writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return null;
    throw new SecretFault(`the secret ${name} cannot be read: ${code}`);
  }
  try {
    if (!(await file.stat()).isFile()) throw new SecretFault(`the secret ${name} is no file`);
    return textOf(await bytesOf(file, name), name);
  } catch (error) {
    if (error instanceof SecretFault) throw error;
    throw new SecretFault(`the secret ${name} cannot be read: ${codeOf(error)}`);
  } finally {
    await file.close();
  }
}

/** All of it, or a fault: its size may be another one than a moment ago. */
async function bytesOf(file: FileHandle, name: string): Promise<Uint8Array> {
  const buffer = Buffer.alloc(MAX_SECRET_BYTES + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
  throw tooLong(name);
}

function textOf(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    throw new SecretFault(`the secret ${name} is no UTF-8 text`);
  }
}

function tooLong(name: string): SecretFault {
  return new SecretFault(`the secret ${name} is longer than ${MAX_SECRET_BYTES} bytes`);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown error";
}
