/** The files that protect a link of the command: certificates, keys, tokens. */
import { access, constants, readFile, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** PEM files. */
export interface TlsFiles {
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly ca: string | undefined;
  /** The name that the other end's certificate must have, if it is not the host's. */
  readonly servername: string | undefined;
}

export interface Pems {
  cert?: Buffer;
  key?: Buffer;
  ca?: Buffer;
}

/** `prefix`: what stands before cert, key and ca in the names of the options, which the error has. */
export async function readPems(files: TlsFiles, prefix: string): Promise<Pems> {
  const pems: Pems = {};
  for (const name of ["cert", "key", "ca"] as const) {
    const path = files[name];
    if (path !== undefined) pems[name] = await read(`${prefix}${name}`, path);
  }
  return pems;
}

/** Without the end of its line. Throws if there is nothing else in the file. */
export async function readToken(path: string): Promise<string> {
  const token = (await read("--token-file", path)).toString().trim();
  if (token === "") throw new Error(`--token-file ${path} is empty`);
  return token;
}

/** Throws with the name of the option that names the file. */
export async function read(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw unusable(option, path, "read", error);
  }
}

/** Throws with the name of the option that names the file: what is written after a long run is checked before. */
export async function checkWritable(option: string, path: string): Promise<void> {
  try {
    const there = await stat(path).catch(() => undefined);
    if (there?.isDirectory() === true) throw Object.assign(new Error(path), { code: "EISDIR" });
    await access(there === undefined ? dirname(path) : path, constants.W_OK);
  } catch (error) {
    throw unusable(option, path, "written", error);
  }
}

/** Throws with the name of the option that names the file. */
export async function write(option: string, path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw unusable(option, path, "written", error);
  }
}

function unusable(option: string, path: string, what: "read" | "written", cause: unknown): Error {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new Error(`${option} ${path} cannot be ${what}: ${code}`, { cause });
}
