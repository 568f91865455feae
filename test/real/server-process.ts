/** The process of a real server, which can be killed, stopped (SIGSTOP) and started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const STARTS_WITHIN_MS = 20_000;
const ASKED_EVERY_MS = 20;
/** The end of its output, for the error of a server that does not start. */
const OUTPUT_CHARACTERS = 1_000;

export interface ServerProcessOptions {
  /** Where its output goes, and its working directory. */
  folder: string;
  command: string;
  args: readonly string[];
  /** The port of 127.0.0.1 on which it accepts connections once it has started. */
  port: number;
  env?: Record<string, string>;
  /** The user and group that it runs as, where this process is root's. Default: ours. */
  uid?: number;
  gid?: number;
  /** Ends it when the scenario is over. Default SIGKILL, which a server of several processes does not pass on to them. */
  endSignal?: NodeJS.Signals;
}

export class ServerProcess {
  readonly port: number;
  readonly #options: ServerProcessOptions;
  readonly #output: string;
  #process: ChildProcess | undefined;

  constructor(options: ServerProcessOptions) {
    this.#options = options;
    this.port = options.port;
    this.#output = join(options.folder, `${basename(options.command)}-${options.port}.log`);
  }

  /** Starts it, also when it was killed before. Resolves when it accepts connections. */
  async start(): Promise<void> {
    const { command, args, folder, env, uid, gid } = this.#options;
    const output = openSync(this.#output, "a");
    const child = spawn(command, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ["ignore", output, output],
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
      // A Ctrl-C at the terminal ends the command, which ends its servers.
      detached: true,
    });
    closeSync(output);
    this.#process = child;
    const failed = once(child, "error").then(([error]) => Promise.reject(error as Error));
    await Promise.race([failed, this.#accepts(child)]);
  }

  /** All that the server has written. */
  get output(): string {
    return readFileSync(this.#output, "utf8");
  }

  async #accepts(child: ChildProcess): Promise<void> {
    const untilMs = performance.now() + STARTS_WITHIN_MS;
    while (!(await isAccepting(this.port))) {
      if (!isRunning(child) || performance.now() > untilMs) {
        const how = isRunning(child) ? `does not accept connections on ${this.port}` : `ended with ${child.exitCode}`;
        throw new Error(`${this.#options.command} ${how}: ${this.output.slice(-OUTPUT_CHARACTERS)}`);
      }
      // Other programs' servers do not tell when they are ready.
      await sleep(ASKED_EVERY_MS);
    }
  }

  /** SIGSTOP, SIGCONT, SIGHUP, …: signals that it survives. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Kills it, also while it is stopped, or asks it with another signal to end. Resolves when it is gone. */
  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#process;
    if (child === undefined || !isRunning(child)) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

async function isAccepting(port: number): Promise<boolean> {
  const socket = connect({ port, host: "127.0.0.1" });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
