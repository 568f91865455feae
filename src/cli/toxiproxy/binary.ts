// Finds the toxiproxy-server binary of one pinned version on the PATH or in our cache; else builds or downloads it
// there.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import { promisify } from "node:util";

export const TOXIPROXY_VERSION: string = "2.12.0";

export interface Binary {
  readonly file: string;
  /** Where the binary was found or how it was made, for people. */
  readonly how: string;
}

const EXE = process.platform === "win32" ? ".exe" : "";
const MODULE = "github.com/Shopify/toxiproxy/v2";
const RELEASES = "https://github.com/Shopify/toxiproxy/releases";
const RELEASE = `${RELEASES}/download/v${TOXIPROXY_VERSION}`;
const RELEASE_BYTES_MAX = 64 * 2 ** 20; // the binary has 8.6 MB

// SHA-256 of the bare binaries of release v2.12.0, as in its checksums.txt. The author could not download from GitHub:
// the values are those that independent public projects pin for the same files (each was found in several; one of them
// tests its parser with lines of that checksums.txt). If a value were wrong, the real file would be refused. Platforms
// for which no two projects agree on a value are left out.
const RELEASE_SHA256: Readonly<Record<string, string>> = {
  "toxiproxy-server-linux-amd64": "556d891134a3c582dc1e1a3f7335fd55142e5965769855a00b944e13e48302fc",
  "toxiproxy-server-linux-arm64": "53e770c1c3035b5a9f1bc629fce537db1f95f62b26f4ebe6e756afd701cf077c",
  "toxiproxy-server-darwin-amd64": "9625bba4bd96117eedae49f982aba4c2f462b268dd406c9ff18186f9b1ef8afe",
  "toxiproxy-server-darwin-arm64": "aa299966b52f16a8594f1cd0d1e9049dc2e8fe2c04a90c19860e2719b2b95d15",
};

/** @throws Error whose message says what was tried, why it failed, and what to do. */
export async function findOrMakeBinary(env: NodeJS.ProcessEnv, onProgress: (line: string) => void): Promise<Binary> {
  const failures = ["TOXIPROXY_URL: not set"];
  const passedOver: string[] = [];

  for (const file of await findAll("toxiproxy-server", env)) {
    const fault = await faultOf(file);
    if (fault === undefined) {
      return { file, how: withNotes(`PATH (${file})`, passedOver) };
    }
    passedOver.push(`${file} on the PATH ${fault}`);
  }
  failures.push(`PATH: ${passedOver.length === 0 ? "no toxiproxy-server on it" : passedOver.join("; ")}`);

  const folder = join(cacheHome(env), "resplice", `toxiproxy-${TOXIPROXY_VERSION}`);
  const cached = join(folder, `toxiproxy-server${EXE}`);
  if (await isExecutable(cached)) {
    const fault = await faultOf(cached);
    if (fault === undefined) {
      return { file: cached, how: withNotes(`cache (${cached})`, passedOver) };
    }
    failures.push(`cache: ${cached} ${fault}`);
  } else {
    failures.push(`cache: no ${cached}`);
  }

  const makers = [
    { name: "go install", make: goInstall },
    { name: "release binary, SHA-256 checked", make: downloadRelease },
  ];
  for (const { name, make } of makers) {
    try {
      await makeInto(folder, cached, (scratch) => make(scratch, env, onProgress));
      return { file: cached, how: withNotes(`${name}, kept as ${cached}`, passedOver) };
    } catch (error) {
      failures.push(`${name}: ${reason(error)}`);
    }
  }
  throw new Error(
    [
      `Toxiproxy ${TOXIPROXY_VERSION} was not found and could not be made.`,
      ...failures.map((failure) => `  - ${failure}`),
      "Any one of these helps:",
      `  - start it and name it: docker run --rm --network host ghcr.io/shopify/toxiproxy:${TOXIPROXY_VERSION}, and`,
      "    TOXIPROXY_URL=http://127.0.0.1:8474 (it must share this machine's loopback interface)",
      `  - put toxiproxy-server ${TOXIPROXY_VERSION} (${RELEASES}) on the PATH`,
      "  - install Go 1.21 or newer, and let it reach its module proxy",
      "  - for the chaos tests: docker compose run --rm chaos",
    ].join("\n"),
  );
}

/** Lets `make` write a binary to a scratch folder, checks it and moves it into place atomically. */
async function makeInto(folder: string, file: string, make: (scratch: string) => Promise<string>): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(folder, ".making-"));
  try {
    const made = await make(scratch);
    const fault = await faultOf(made);
    if (fault !== undefined) {
      throw new Error(`the new binary ${fault}`);
    }
    await rename(made, file);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function goInstall(scratch: string, env: NodeJS.ProcessEnv, onProgress: (line: string) => void): Promise<string> {
  const usual = "/usr/local/go/bin/go";
  const go = (await findAll("go", env))[0] ?? ((await isExecutable(usual)) ? usual : undefined);
  if (go === undefined) {
    throw new Error(`no go on the PATH, nor ${usual}`);
  }
  onProgress(`building Toxiproxy ${TOXIPROXY_VERSION} with ${go} install, once: up to some minutes`);
  // Without -X the server reports version "git".
  const linkerFlags = `-s -w -X ${MODULE}.Version=${TOXIPROXY_VERSION}`;
  const source = `${MODULE}/cmd/server@v${TOXIPROXY_VERSION}`;
  await promisify(execFile)(go, ["install", "-trimpath", "-ldflags", linkerFlags, source], {
    cwd: scratch, // away from any go.mod or go.work
    env: { ...env, GOBIN: scratch, CGO_ENABLED: "0" },
    timeout: 600_000,
    maxBuffer: 16 * 2 ** 20,
  });
  return join(scratch, `server${EXE}`);
}

async function downloadRelease(
  scratch: string,
  _env: NodeJS.ProcessEnv,
  onProgress: (line: string) => void,
): Promise<string> {
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  const asset = `toxiproxy-server-${process.platform}-${arch}`;
  const expected = RELEASE_SHA256[asset];
  if (expected === undefined) {
    throw new Error(`no SHA-256 is known for ${asset}`);
  }
  onProgress(`downloading ${RELEASE}/${asset}`);
  const response = await fetch(`${RELEASE}/${asset}`, { signal: AbortSignal.timeout(120_000) });
  if (!response.ok || response.body === null) {
    throw new Error(`status ${response.status} from ${RELEASE}/${asset}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > RELEASE_BYTES_MAX) {
      throw new Error(`${asset} is larger than ${RELEASE_BYTES_MAX} bytes`);
    }
  }
  const bytes = Buffer.concat(chunks);
  const actual = createHash("sha256").update(bytes).digest("hex");
  if (actual !== expected) {
    throw new Error(`${asset} was refused: its SHA-256 is ${actual}, and ${expected} was expected`);
  }
  const file = join(scratch, asset);
  await writeFile(file, bytes, { mode: 0o755 });
  return file;
}

/** The reason why this binary cannot be used; undefined if it runs and has the pinned version. */
async function faultOf(file: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(file, ["-version"], { timeout: 10_000 });
    const version = / version (\S+)/.exec(stdout)?.[1];
    return version === TOXIPROXY_VERSION ? undefined : `is version ${version ?? "unknown"}`;
  } catch (error) {
    return `does not run (${reason(error)})`;
  }
}

/** All executables of that name on the PATH, in its order. */
async function findAll(name: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const folders = (env["PATH"] ?? env["Path"] ?? "").split(delimiter).filter((folder) => isAbsolute(folder));
  const found: string[] = [];
  for (const folder of new Set(folders)) {
    const file = join(folder, name + EXE);
    if (await isExecutable(file)) {
      found.push(file);
    }
  }
  return found;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function cacheHome(env: NodeJS.ProcessEnv): string {
  const given = env["XDG_CACHE_HOME"];
  // The XDG specification: a relative path there is to be ignored.
  return given !== undefined && isAbsolute(given) ? given : join(env["HOME"] ?? homedir(), ".cache");
}

function withNotes(how: string, notes: readonly string[]): string {
  return notes.length === 0 ? how : `${how}; passed over: ${notes.join("; ")}`;
}

/** An error as part of a sentence, with its cause's message or its process's output on stderr. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const stderr = "stderr" in error && typeof error.stderr === "string" ? error.stderr.trim() : "";
  const text = stderr === "" ? error.message : `${error.message.split("\n")[0]}: ${stderr.slice(-500)}`;
  // "fetch failed" says nothing: its cause does.
  return error.cause instanceof Error ? `${text} (${error.cause.message})` : text;
}
