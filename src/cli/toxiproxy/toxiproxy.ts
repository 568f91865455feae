// Finds or makes a Toxiproxy server of one pinned version and runs it, for the chaos tests and for
// `resplice demo --toxiproxy`. In this order: a running one (TOXIPROXY_URL), `toxiproxy-server` on the PATH, our cache,
// `go install`, the release binary. Nothing is skipped silently: `how` says which way was taken, and which binaries on
// the PATH were passed over; if no way works, the error says why each one failed and what to do.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { claimPort } from "../../testing/port-claim.ts";
import { findOrMakeBinary, reason, TOXIPROXY_VERSION } from "./binary.ts";

export interface ToxiproxyOptions {
  /** Where TOXIPROXY_URL, PATH, XDG_CACHE_HOME and HOME are read. Default: `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** Called with a line of text before a slow step: a build or a download. Default: not called. */
  readonly onProgress?: (line: string) => void;
}

export interface RunningToxiproxy {
  /** The URL of the HTTP interface, without a slash at the end. */
  readonly url: string;
  readonly version: string;
  /** How the server was found or made, for people. */
  readonly how: string;
  /** Ends the server, if we started it. May be called again. */
  readonly stop: () => Promise<void>;
}

/** @throws Error whose message says what was tried, why it failed, and what to do. */
export async function startToxiproxy(options: ToxiproxyOptions = {}): Promise<RunningToxiproxy> {
  const env = options.env ?? process.env;
  const given = env["TOXIPROXY_URL"];
  if (given !== undefined && given !== "") {
    return useRunning(given);
  }
  const binary = await findOrMakeBinary(env, options.onProgress ?? (() => {}));
  return run(binary.file, binary.how, env);
}

// A server that somebody else runs
// -------------------------------------------------------------------------------------

async function useRunning(given: string): Promise<RunningToxiproxy> {
  const url = given.replace(/\/+$/, "");
  let version: string;
  try {
    version = await askVersion(url, 5_000);
  } catch (cause) {
    throw new Error(
      `TOXIPROXY_URL is ${given}, but no Toxiproxy answers there: ${reason(cause)}. Start one, or unset it.`,
      { cause },
    );
  }
  if (version !== TOXIPROXY_VERSION) {
    throw new Error(
      `TOXIPROXY_URL is ${given}: that Toxiproxy is version "${version}", and ${TOXIPROXY_VERSION} is needed` +
        ' ("git" is a build without a version). Start the right one, or unset it.',
    );
  }
  return { url, version, how: `TOXIPROXY_URL (${url})`, stop: () => Promise.resolve() };
}

async function askVersion(url: string, timeoutMs: number): Promise<string> {
  const response = await fetch(`${url}/version`, { signal: AbortSignal.timeout(timeoutMs) });
  const text = await response.text();
  const body: unknown = response.ok ? JSON.parse(text) : undefined;
  if (typeof body !== "object" || body === null || !("version" in body) || typeof body.version !== "string") {
    throw new Error(`GET /version gave status ${response.status} and ${JSON.stringify(text.slice(0, 100))}`);
  }
  return body.version;
}

// The process
// ----------------------------------------------------------------------------------------------------------

const START_MS_MAX = 10_000;
const POLL_MS = 10;
const LOG_CHARS_KEPT = 4_096;

async function run(file: string, how: string, env: NodeJS.ProcessEnv): Promise<RunningToxiproxy> {
  const claim = await claimPort();
  const url = `http://127.0.0.1:${claim.port}`;
  // Detached, so that Ctrl-C at the terminal does not reach it: we still need the proxy while we close our links.
  const child = spawn(file, ["-host", "127.0.0.1", "-port", String(claim.port)], {
    env: { ...env, LOG_LEVEL: "error" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    windowsHide: true,
  });
  const failed = failureOf(child, file);
  failed.catch(() => {}); // looked at only while starting
  const kill = (): boolean => child.kill("SIGKILL");
  process.on("exit", kill);
  const guard = child.pid === undefined ? undefined : guardOf(child.pid);

  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      guard?.kill("SIGKILL"); // first: it must not outlive the child, whose pid may be given to a stranger
      const running = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
      if (running) {
        const exited = once(child, "exit");
        kill();
        await exited;
      }
      process.off("exit", kill);
      claim.release();
    })();
    return stopped;
  };

  try {
    const version = await Promise.race([answerOf(url), failed]);
    return { url, version, how, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function answerOf(url: string): Promise<string> {
  const deadline = performance.now() + START_MS_MAX;
  for (;;) {
    try {
      return await askVersion(url, 1_000);
    } catch (error) {
      if (performance.now() > deadline) {
        throw new Error(`Toxiproxy did not answer at ${url} within ${START_MS_MAX} ms: ${reason(error)}`, {
          cause: error,
        });
      }
      await sleep(POLL_MS);
    }
  }
}

/** Rejects as soon as the server can't start. If its port is taken, the server does not exit, and only logs that. */
function failureOf(child: ChildProcess, file: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    let log = "";
    const read = (chunk: Buffer): void => {
      log = (log + chunk.toString()).slice(-LOG_CHARS_KEPT);
      if (log.includes("Server finished with error")) {
        reject(new Error(`${file} could not start: ${log.trim()}`));
      }
    };
    child.stdout?.on("data", read); // kept on: a full pipe would block the server
    child.stderr?.on("data", read);
    child.on("error", (cause) => reject(new Error(`${file} could not be run: ${cause.message}`, { cause })));
    child.on("exit", (code, signal) => reject(new Error(`${file} ended (${code ?? signal}): ${log.trim()}`)));
  });
}

/**
 * A process that only kills `pid` when this process has gone. The pipe to it closes however we end, also by SIGKILL,
 * for which no handler of ours runs.
 */
function guardOf(pid: number): ChildProcess {
  const script =
    'process.stdin.resume().on("end", () => { try { process.kill(Number(process.argv[1]), "SIGKILL"); } catch {} });';
  const env = { ...process.env };
  delete env["NODE_OPTIONS"]; // an --inspect or --import meant for us
  const guard = spawn(process.execPath, ["-e", script, String(pid)], {
    env,
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
    windowsHide: true,
  });
  guard.on("error", () => {}); // without a guard there is still the handler of "exit"
  guard.stdin.on("error", () => {});
  return guard;
}
