/**
 * Forwards connections to the servers that have their sessions, and takes those that other servers forward. The servers
 * find each other by their ids: in a folder of one machine, or in a registry of the application's.
 */
import { existsSync } from "node:fs";
import { connect, type Socket } from "node:net";
import tls, { type PeerCertificate } from "node:tls";
import { type Entropy, newServerId } from "../../core/session/proof.ts";
import { RespliceError } from "../../link/errors.ts";
import type { Clock, Connection, Timer } from "../../link/ports.ts";
import { addressText } from "../../telemetry/address-text.ts";
import type { Journal } from "../../telemetry/journal.ts";
import type { ForwardFailed } from "../../telemetry/record.ts";
import { messageOf } from "../../telemetry/thrown.ts";
import { ForwardAttempt, type ForwardOutcome, type Way } from "./attempt.ts";
import { prepareFolder, removeStale, socketPath } from "./folder.ts";
import type { ForwardAddress, ResolvedForward } from "./options.ts";
import { FORWARD_NONCE_BYTES, type Macs } from "./preamble.ts";
import { KEEP_ALIVE_MS, Receiver } from "./receiver.ts";
import { Registry } from "./registry.ts";

/** So often a server is announced anew: an entry of a registry may expire after some of these. */
const ANNOUNCED_EVERY_MS = 10_000;

export interface ForwardHost {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly journal: Journal;
  accept(connection: Connection, certificate: (() => PeerCertificate) | undefined): void;
  onRejected(remoteAddress: string, detail: string): void;
}

/** The client of a connection that is to be forwarded. `certificate`: in DER; empty without. */
export interface ForwardedClient {
  remoteAddress: string;
  certificate: Buffer;
}

/** With a registry a name may have to be resolved, and it may take time itself. A client waits 5 s for its answer. */
const REACHED_WITHIN_MS = { inFolder: 2_000, betweenHosts: 4_000 };

export class Forwarding {
  readonly serverId: string;
  readonly #options: ResolvedForward;
  readonly #host: ForwardHost;
  readonly #macs: Macs;
  readonly #registry: Registry | undefined;
  readonly #receiver: Receiver;
  readonly #announcing: Timer;
  #announced: ForwardAddress | undefined;
  /** The call of announce() that was made last; never rejects. */
  #announcement: Promise<void> = Promise.resolve();

  constructor(options: ResolvedForward, host: ForwardHost) {
    this.#options = options;
    this.#host = host;
    const { clock, entropy } = host;
    this.serverId = newServerId(entropy);
    const { key, tls: secure, registry } = "dir" in options ? {} : options;
    this.#macs = { key, entropy };
    this.#registry = registry && new Registry(registry, clock);
    this.#receiver = new Receiver(
      { ...host, serverId: this.serverId, macs: this.#macs, onFailed: (error) => this.#failed("listen", error) },
      secure,
    );
    this.#announcing = clock.timer(() => void this.#announceAgain());
  }

  /**
   * Other servers can reach this one from now on. Rejects LISTEN_FAILED. `track` is called for each socket that is
   * accepted from one of them.
   */
  async start(track: (socket: Socket) => void): Promise<void> {
    const options = this.#options;
    if ("dir" in options) {
      await prepareFolder(options.dir);
      await removeStale(options.dir, this.#host.clock.wallMs());
      const path = socketPath(options.dir, this.serverId);
      await this.#receiver.listen({ path }, track).catch((error: unknown) => fail(`cannot listen on ${path}`, error));
      return;
    }
    const { host, port } = options.listen;
    const taken = await this.#receiver
      .listen({ host, port }, track)
      .catch((error: unknown) => fail(`cannot listen on ${addressText({ host, port })} for other servers`, error));
    this.#announced = { host, port: taken, ...options.announce };
    await this.#announce(this.#announced).catch((error: unknown) => fail("forward.registry.announce() failed", error));
    this.#announceLater();
  }

  /**
   * Reaches the server, and says whose connection it is. `done` is called once, later or at once, unless the caller aborts
   * the attempt.
   */
  send(serverId: string, client: ForwardedClient, done: (outcome: ForwardOutcome) => void): { abort(): void } {
    const { clock, entropy } = this.#host;
    const preamble = { serverId, nonce: entropy.randomBytes(FORWARD_NONCE_BYTES), ...client };
    const options = this.#options;
    const withinMs = "dir" in options ? REACHED_WITHIN_MS.inFolder : REACHED_WITHIN_MS.betweenHosts;
    const attempt = new ForwardAttempt(preamble, this.#macs, { clock, withinMs }, done);
    if ("dir" in options) attempt.begin(inFolder(options.dir, serverId, this.serverId));
    else void this.#sendByRegistry(serverId, attempt);
    return attempt;
  }

  async #sendByRegistry(serverId: string, attempt: ForwardAttempt): Promise<void> {
    let address: ForwardAddress | undefined;
    try {
      address = await this.#registry?.find(serverId);
    } catch (error) {
      this.#failed("find", error);
      return attempt.fail("where the server is that has the session is not known now");
    }
    if (address === undefined) return attempt.nobody();
    attempt.begin(this.#toAddress(address));
  }

  /** Over a network no error says that a server is gone: only the registry does. */
  #toAddress({ host, port }: ForwardAddress): Way {
    const secure = "dir" in this.#options ? undefined : this.#options.tls;
    const to = { host, port, allowHalfOpen: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    return { socket: secure === undefined ? connect(to) : tls.connect({ ...to, ...secure }), isGone: () => false };
  }

  #announce(address: ForwardAddress): Promise<void> {
    const announced = this.#registry?.announce(this.serverId, address) ?? Promise.resolve();
    this.#announcement = announced.catch(() => {});
    return announced;
  }

  #announceLater(): void {
    this.#announcing.set(this.#host.clock.now() + ANNOUNCED_EVERY_MS);
  }

  async #announceAgain(): Promise<void> {
    const announced = this.#announced;
    if (announced === undefined) return;
    await this.#announce(announced).catch((error: unknown) => this.#failed("announce", error));
    if (this.#announced !== undefined) this.#announceLater();
  }

  /** Other servers find this one no more. Never rejects. */
  async stop(): Promise<void> {
    this.#announcing.clear();
    const wasAnnounced = this.#announced !== undefined;
    this.#announced = undefined;
    // One that is under way would come after it.
    await this.#announcement;
    if (wasAnnounced) {
      await this.#registry?.withdraw(this.serverId).catch((error: unknown) => this.#failed("withdraw", error));
    }
    this.#receiver.close();
  }

  #failed(part: ForwardFailed["part"], thrown: unknown): void {
    this.#host.journal.record({ event: "server.forward-failed", part, thrown });
  }
}

/**
 * A socket at which nobody listens is that of a server that has ended, and so is one that is not there: unless `own` is not
 * there either, because somebody has emptied the folder.
 */
function inFolder(dir: string, serverId: string, own: string): Way {
  const isGone = ({ code }: NodeJS.ErrnoException): boolean =>
    code === "ECONNREFUSED" || (code === "ENOENT" && existsSync(socketPath(dir, own)));
  return { socket: connect({ path: socketPath(dir, serverId), allowHalfOpen: true }), isGone };
}

function fail(what: string, cause: unknown): never {
  throw new RespliceError("LISTEN_FAILED", `${what}: ${messageOf(cause)}`, { cause });
}
