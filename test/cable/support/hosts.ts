/**
 * Two hosts and the cable between them: a network namespace for each, and a veth pair. Both namespaces belong to one user
 * namespace of our own, so no privileges are needed. Each lives as long as a process that does nothing else; that one, and
 * whatever runs on a host, is killed by the kernel when we are gone, however we went.
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";

/** Both ends are called so. */
const DEVICE = "cable";
const NETWORK = "10.77.0";

export interface Cable extends AsyncDisposable {
  readonly client: Host;
  readonly server: Host;
}

export async function layCable(): Promise<Cable> {
  const holders: ChildProcess[] = [];
  const unplug = async (): Promise<void> => {
    for (const holder of holders) await kill(holder);
  };
  try {
    const clientHolder = await hold(["unshare", "-Urn"]);
    holders.push(clientHolder);
    const client = new Host(pidOf(clientHolder), `${NETWORK}.1`);
    const serverHolder = await hold([...client.entering, "unshare", "-n"]);
    holders.push(serverHolder);
    const server = new Host(pidOf(serverHolder), `${NETWORK}.2`);
    await client.run(`ip link add ${DEVICE} type veth peer name ${DEVICE} netns ${pidOf(serverHolder)}`);
    for (const host of [client, server]) {
      await host.run(`ip address add ${host.address}/24 dev ${DEVICE}`);
      await host.run("ip link set lo up");
      // Packets as on a wire: otherwise the kernel passes 64 KiB at once, and a fifth of almost nothing is lost.
      await host.run(`ip link set ${DEVICE} gso_max_segs 1`);
      await host.plug();
    }
    return { client, server, [Symbol.asyncDispose]: unplug };
  } catch (error) {
    await unplug();
    throw error;
  }
}

/** A process that keeps the namespaces it was started in; it says when it is in them. */
async function hold(within: readonly string[]): Promise<ChildProcess> {
  const holder = start(within, ["sh", "-c", "echo here; exec sleep 1000000"]);
  const complaint = text(holder.stderr);
  const failed = once(holder, "close").then(async () => {
    throw new Error(`${within.join(" ")}: ${(await complaint).trim()}`);
  });
  const started = new Promise<void>((resolve) => holder.stdout.once("data", () => resolve()));
  // When it is killed in the end, nobody waits for it here any more.
  failed.catch(() => {});
  await Promise.race([started, failed]);
  return holder;
}

export class Host {
  /** What the cable's end has; a client may be given another one. */
  address: string;
  readonly #holder: number;

  constructor(holder: number, address: string) {
    this.#holder = holder;
    this.address = address;
  }

  /** What precedes a command to run it here. */
  get entering(): string[] {
    return ["nsenter", "--preserve-credentials", "-U", "-n", "-t", String(this.#holder)];
  }

  /** A process here; killed, at the latest, when we are gone. */
  spawn(command: readonly string[]): ChildProcessWithoutNullStreams {
    return start(this.entering, command);
  }

  /** Runs a line of the shell to its end. Rejects with what it complained of. */
  async run(line: string, input = ""): Promise<string> {
    const child = this.spawn(["sh", "-c", line]);
    const [out, complaint] = [text(child.stdout), text(child.stderr)];
    child.stdin.on("error", () => {}).end(input);
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new Error(`${line}: ${(await complaint).trim()} (${code})`);
    return out;
  }

  async pull(): Promise<void> {
    await this.run(`ip link set ${DEVICE} down`);
  }

  async plug(): Promise<void> {
    await this.run(`ip link set ${DEVICE} up`);
  }

  async pullFor(ms: number): Promise<void> {
    await this.run(`ip link set ${DEVICE} down; sleep ${ms / 1000}; ip link set ${DEVICE} up`);
  }

  /** Another address instead of the one it has. */
  async readdress(last: number): Promise<void> {
    const before = this.address;
    this.address = `${NETWORK}.${last}`;
    await this.run(`ip address del ${before}/24 dev ${DEVICE}; ip address add ${this.address}/24 dev ${DEVICE}`);
  }

  /** nftables statements, each on a line of its own, for what comes in here and what goes out. They replace those before. */
  async filter(rules: { in?: string; out?: string }): Promise<void> {
    const chains = Object.entries({ input: rules.in ?? "", output: rules.out ?? "" }).map(
      ([hook, lines]) => `chain ${hook} {\ntype filter hook ${hook} priority 0;\n${lines}\n}`,
    );
    await this.run(
      "nft -f -",
      `table inet fault\ndelete table inet fault\ntable inet fault {\n${chains.join("\n")}\n}\n`,
    );
  }

  /** What the rules have counted since they were set. */
  async struck(): Promise<number> {
    const counters = (await this.run("nft list table inet fault")).matchAll(/counter packets (\d+)/gu);
    return [...counters].reduce((sum, [, packets]) => sum + Number(packets), 0);
  }

  async unfilter(): Promise<void> {
    await this.run("nft delete table inet fault");
  }
}

/** SIGKILL reaches what is stopped, too. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** The kernel's own means, which reaches what is stopped, and works however we end. */
function start(entering: readonly string[], command: readonly string[]): ChildProcessWithoutNullStreams {
  const [enter = "", ...args] = entering;
  return spawn(enter, [...args, "setpriv", "--pdeathsig", "KILL", ...command], { env: ENVIRONMENT });
}

/** Where ip and nft are, for users without privileges as well. */
export const SEARCH_PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
const ENVIRONMENT = { ...process.env, PATH: SEARCH_PATH, NODE_OPTIONS: "" };

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error("it was not started");
  return child.pid;
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = "";
  for await (const chunk of stream) all += String(chunk);
  return all;
}
