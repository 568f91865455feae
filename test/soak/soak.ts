/** The parts of a soak: two processes, the paths between them, and the ledger. */
import { setTimeout as sleep } from "node:timers/promises";
import { certificate } from "../certificate.ts";
import { Child } from "../endurance/child.ts";
import { type Allowed, type Footprint, grown } from "../endurance/footprint.ts";
import type { ClientCommands } from "./client.ts";
import { type Kind, type Server, SERVER_OF, SERVERS } from "./kinds.ts";
import { Ledger } from "./ledger.ts";
import { Path, REPLACED } from "./path.ts";
import { BREAKS, SHAPES } from "./schedule.ts";
import type { ServerCommands } from "./server.ts";
import type { ToxiproxyHost } from "./toxiproxy-host.ts";
import { untouched } from "./untouched.ts";

export interface SoakOptions {
  host: ToxiproxyHost;
  links: number;
  seed: number;
  /** Told of each fault. */
  say(line: string): void;
}

const FAULTS_KEPT = 40;
/** When the path is whole again everything must have ended by then. */
const END_WITHIN_MS = 60_000;
/** A connection that was ended is held for 2 s, if the other side does not close it. */
const LINGERS_MS = 3_000;
const MIB = 2 ** 20;
/** Each manager and supervisor keeps up to 4 MiB of blocks; V8 keeps some more of what it knows of the code. */
const POOL_BYTES = 4 * MIB;
const ALLOWED: Record<"client" | "server", Allowed> = {
  client: {
    heapBytes: 2 * MIB,
    externalBytes: POOL_BYTES + MIB,
    rssBytes: 64 * MIB,
    resources: { Timeout: 2 },
  },
  server: {
    heapBytes: 2 * MIB,
    externalBytes: SERVERS.length * POOL_BYTES + MIB,
    rssBytes: 64 * MIB,
    resources: { Timeout: SERVERS.length },
  },
};

export type Both<T> = Record<"client" | "server", T>;

export class Soak {
  readonly lastFaults: string[] = [];
  readonly #options: SoakOptions;
  readonly #server = new Child<ServerCommands>(new URL("server.ts", import.meta.url), "the server");
  readonly #client = new Child<ClientCommands>(new URL("client.ts", import.meta.url), "the client");
  readonly #ledger = new Ledger();
  readonly #paths: Array<{ path: Path; server: Server }> = [];
  readonly #problems: string[] = [];
  readonly #beganMs = performance.now();
  #open = 0;
  #sessions = 0;

  constructor(options: SoakOptions) {
    this.#options = options;
  }

  /** Two paths to each server, one that closes with FIN and one with RST. */
  async open(): Promise<void> {
    const ports = await this.#server.call("listen", await certificate());
    for (const server of SERVERS) {
      for (const resettable of [false, true]) {
        const path = await Path.open({
          host: this.#options.host,
          name: `${server}-${resettable ? "rst" : "fin"}`,
          seed: this.#options.seed + this.#paths.length,
          upstreamPort: ports[server],
          resettable,
        });
        this.#paths.push({ path, server });
      }
    }
  }

  /** Links and faults for so long; then the paths are whole, and all links come to their end. */
  async run(forMs: number, interrupted: AbortSignal): Promise<void> {
    if (interrupted.aborted) return;
    const { links, seed } = this.#options;
    const ports = Object.fromEntries(
      Object.entries(SERVER_OF).map(([kind, server]) => [
        kind,
        this.#paths.filter((each) => each.server === server).map(({ path }) => path.port),
      ]),
    ) as Record<Kind, number[]>;
    await this.#client.call("begin", { links, seed, ports });
    const over = new AbortController();
    const broken = this.#paths.map(({ path }) => path.breakUntil(over.signal, (line) => this.#fault(line)));
    await Promise.race([sleep(forMs, undefined, { signal: interrupted }).catch(() => {}), Promise.all(broken)]);
    over.abort();
    await Promise.all(broken);
    for (const { path } of this.#paths) await path.renew();
    await this.#client.call("finish");
    await this.#end();
  }

  #fault(line: string): void {
    const text = `${((performance.now() - this.#beganMs) / 1_000).toFixed(1)} s, ${line}`;
    this.#options.say(text);
    this.lastFaults.push(text);
    if (this.lastFaults.length > FAULTS_KEPT) this.lastFaults.shift();
  }

  /** The servers forget a session when they have heard that its client has. */
  async #end(): Promise<void> {
    for (const untilMs = performance.now() + END_WITHIN_MS; performance.now() < untilMs; await sleep(100)) {
      await this.account();
      if (this.#sessions === 0 && this.#open === 0) return;
    }
    this.#problems.push(`${this.#open} links and ${this.#sessions} sessions have not ended`);
  }

  async account(): Promise<void> {
    const [client, server] = await Promise.all([this.#client.call("take"), this.#server.call("take")]);
    this.#ledger.add("client", client.accounts);
    this.#ledger.add("server", server.accounts);
    this.#open = client.open;
    this.#sessions = server.sessions;
  }

  async footprints(): Promise<Both<Footprint>> {
    await sleep(LINGERS_MS);
    // What was seen until now is not the peak of what comes.
    await this.peaks();
    const [client, server] = await Promise.all([this.#client.call("footprint"), this.#server.call("footprint")]);
    return { client, server };
  }

  async peaks(): Promise<Both<Partial<Footprint>>> {
    const [client, server] = await Promise.all([this.#client.call("peak"), this.#server.call("peak")]);
    return { client, server };
  }

  /** What there is in the end that there was not before. */
  left(before: Both<Footprint>, after: Both<Footprint>): string[] {
    return (["client", "server"] as const).flatMap((end) =>
      grown(before[end], after[end], ALLOWED[end]).map((what) => `the ${end}'s process: ${what}`),
    );
  }

  get problems(): string[] {
    return [...this.#problems, ...this.#ledger.problems, ...this.#ledger.unmatched];
  }

  summary(): string {
    const { links, messages, bytes, reconnects } = this.#ledger;
    const gib = (bytes / 2 ** 30).toFixed(2);
    return `${links} links, ${messages} messages, ${gib} GiB, ${this.#faultCount} faults, ${reconnects} reconnects`;
  }

  get #faultCount(): number {
    return this.#paths.reduce(
      (sum, { path }) => sum + [...path.counts.values()].reduce((all, each) => all + each, 0),
      0,
    );
  }

  /** What has not occurred until now. */
  get untouched(): string[] {
    const { kinds, reconnects } = this.#ledger;
    return untouched({ faults: (kind) => this.#made(kind), kinds, reconnects });
  }

  #made(kind: string): number {
    return this.#paths.reduce((sum, { path }) => sum + (path.counts.get(kind) ?? 0), 0);
  }

  /** How often each fault was made, and how many links of each kind there were. */
  faults(): string {
    const faults = [...BREAKS, ...SHAPES, REPLACED].map((kind) => `${kind} ${this.#made(kind)}`).join(", ");
    const kinds = [...this.#ledger.kinds].map(([kind, links]) => `${kind}: ${links}`).join("; ");
    return `faults: ${faults}\nlinks: ${kinds}`;
  }

  /** Nothing is left but the processes themselves. */
  async close(): Promise<Both<Footprint>> {
    const client = await this.#client.call("close");
    const server = await this.#server.call("close");
    return { client, server };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#paths.map(({ path }) => path.close().catch(() => {})));
    await Promise.all([this.#client.stop(), this.#server.stop()]);
  }
}
