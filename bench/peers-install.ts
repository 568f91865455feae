/** Fetches what `--peers` measures: packages of their own, and a NATS server. Both are kept for the next time. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const NATS_SERVER_VERSION = "2.15.2";

const FOLDER = fileURLToPath(new URL("peers/", import.meta.url));
const NATS_FOLDER = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "resplice",
  `nats-server-${NATS_SERVER_VERSION}`,
);
const INSTALL_MS = 300_000;

/** From the lock file. Their install scripts are not run: the one that has a binary brings it along. */
export function installPeers(onProgress: (line: string) => void): void {
  const lock = join(FOLDER, "package-lock.json");
  const installed = join(FOLDER, "node_modules/.package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  onProgress("npm ci --prefix bench/peers");
  run("npm", ["ci", "--prefix", FOLDER, "--ignore-scripts", "--no-audit", "--no-fund"], process.env);
}

export function installedVersion(name: string): string {
  const file = join(FOLDER, "node_modules", name, "package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/** Built with Go the first time. */
export function installNatsServer(onProgress: (line: string) => void): void {
  if (existsSync(natsServer())) return;
  onProgress(`go install nats-server ${NATS_SERVER_VERSION}`);
  mkdirSync(NATS_FOLDER, { recursive: true });
  const PATH = [process.env["PATH"], "/usr/local/go/bin"].join(delimiter);
  const from = `github.com/nats-io/nats-server/v2@v${NATS_SERVER_VERSION}`;
  run("go", ["install", from], { ...process.env, PATH, GOBIN: NATS_FOLDER });
}

export function natsServer(): string {
  return join(NATS_FOLDER, "nats-server");
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv): void {
  const { error, status, stderr } = spawnSync(command, args, { env, encoding: "utf8", timeout: INSTALL_MS });
  if (error !== undefined) throw new Error(`${command} cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}:\n${stderr}`);
}
