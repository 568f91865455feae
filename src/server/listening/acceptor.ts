/**
 * One place at which a server listens. What is lost is bound again, as long as the server wants it: connections that
 * were accepted do not depend on it.
 */
import cluster from "node:cluster";
import net, { type NetConnectOpts, type Server, type ServerOpts, type Socket } from "node:net";
import { Backoff } from "../../core/backoff.ts";
import { SYSTEM_ENTROPY } from "../../io/entropy.ts";
import type { RespliceError } from "../../link/errors.ts";
import type { Clock, Timer } from "../../link/ports.ts";
import { addressText } from "../../telemetry/address-text.ts";
import { listenFailed, listening, stopped } from "./listen-error.ts";
import { type BoundAddress, type Place, placeText } from "./places.ts";
import { type ProbeResult, SelfProbe } from "./self-probe.ts";
import { makeWay, setMode, SocketFile } from "./socket-file.ts";

/** Between two attempts to listen again. The first comes within 200 ms, unless it was lost again and again. */
const LEAST_PAUSE_MS = 250;
const MOST_PAUSE_MS = 30_000;
/** After so long without a loss, the first attempt comes quickly again. */
const RESET_AFTER_MS = 60_000;
/** A timer that is never due keeps the process alive, as a listener does. */
const NEVER = Number.MAX_VALUE;

/** An address was lost, or is listened at again. */
export interface ListenerChange {
  /** `restored`: it is listened at again. */
  type: "lost" | "restored";
  /** As in `BoundAddress`. */
  host: string;
  /** As in `BoundAddress`. */
  port: number;
  /** Why it was lost. */
  reason: string;
  /** How long nobody could connect; 0 for one that was lost. */
  downMs: number;
}

/** The numbers of one address that a server listens at. */
export interface AddressStats {
  /** As in `BoundAddress`. */
  host: string;
  /** As in `BoundAddress`. */
  port: number;
  /**
   * `lost`: it is tried to listen there again. `failed`: that cannot be. `closed`: it was not listened at yet, or the
   * server has closed it.
   */
  state: "listening" | "lost" | "failed" | "closed";
  /** Why it is not listened at. */
  reason?: string;
  /** Sockets that were accepted, since the beginning. */
  accepted: number;
  /** How often it was listened at again. */
  restarts: number;
  /**
   * What the last self-probe of this listener has found. `shared`: other processes may accept there, so nothing can be
   * found. `untold`: no descriptor was left, or no probe has ever arrived, for example.
   */
  probe: "off" | "shared" | "none" | "accepts" | "untold";
}

export interface AcceptorHost {
  readonly clock: Clock;
  /** Options of the sockets, as net.createServer() has them. */
  readonly sockets: ServerOpts;
  /** Between two self-probes; 0: none. */
  readonly selfProbeMs: number;
  onSocket(socket: Socket): void;
  onChange(change: ListenerChange): void;
  /** The place cannot be listened at any more, for good. */
  onFailed(error: RespliceError): void;
}

export class Acceptor {
  #place: Place;
  readonly #host: AcceptorHost;
  readonly #backoff: Backoff;
  readonly #again: Timer;
  readonly #probing: Timer;
  /** Undefined: it is not listened at. */
  #server: Server | undefined;
  #address: BoundAddress = { host: "", port: 0 };
  /** Of a Unix socket. */
  #file: SocketFile | undefined;
  #probe: SelfProbe | undefined;
  /** `cause`: why it was lost; `reason`: why it is not listened at now. */
  #outage: { cause: string; reason: string; sinceMs: number; isFinal: boolean } | undefined;
  #isStopped = false;
  #isSuspended = false;
  #accepted = 0;
  /** Those of the probes, too. */
  #allAccepted = 0;
  #seenByProbe = 0;
  /** Of the listener that there is now: whether it was dialled, and whether a probe has ever arrived at it. */
  #isProbed = false;
  #isReachable = false;
  #restarts = 0;
  #found: AddressStats["probe"] = "none";

  constructor(place: Place, host: AcceptorHost) {
    this.#place = place;
    this.#host = host;
    const { clock } = host;
    const pauses = { minDelayMs: LEAST_PAUSE_MS, maxDelayMs: MOST_PAUSE_MS, resetAfterMs: RESET_AFTER_MS };
    this.#backoff = new Backoff(pauses, clock.now());
    this.#again = clock.timer(() => void this.#restart());
    this.#probing = clock.timer(() => this.#onProbing());
  }

  /** Rejects LISTEN_FAILED; INVALID_STATE if it is stopped meanwhile. */
  async listen(): Promise<BoundAddress> {
    this.#address = boundAddress(await this.#bind(), this.#place);
    // A port that was chosen by the system stays the same.
    if ("port" in this.#place) this.#place = { ...this.#place, port: this.#address.port };
    this.#backoff.onConnected(this.#host.clock.now());
    this.#beginProbes();
    return this.#address;
  }

  /** It is not listened at until `resume()`. A descriptor could not be bound again: it stays. */
  suspend(reason: string): void {
    if (this.#server === undefined || this.#outage !== undefined || "fd" in this.#place) return;
    this.#isSuspended = true;
    this.#lose(this.#server, reason);
  }

  resume(): void {
    if (!this.#isSuspended) return;
    this.#isSuspended = false;
    this.#again.set(this.#host.clock.now());
  }

  stop(): void {
    this.#isStopped = true;
    this.#outage = undefined;
    this.#again.clear();
    this.#close();
  }

  /** Why it is not listened at; undefined if it is. */
  get lost(): string | undefined {
    return this.#outage && `not listening on ${addressText(this.#address)}: ${this.#outage.reason}`;
  }

  /** Sockets that were accepted, since the beginning. */
  get accepted(): number {
    return this.#accepted;
  }

  stats(): AddressStats {
    const { host, port } = this.#address;
    const lost = this.#outage && { reason: this.#outage.reason };
    const probe = this.#host.selfProbeMs === 0 ? "off" : isShared(this.#place) ? "shared" : this.#found;
    return { host, port, state: this.#state, ...lost, accepted: this.#accepted, restarts: this.#restarts, probe };
  }

  get #state(): AddressStats["state"] {
    if (this.#outage !== undefined) return this.#outage.isFinal ? "failed" : "lost";
    return this.#server?.listening === true ? "listening" : "closed";
  }

  // ── bound, lost, and bound again ────────────────────────────────────────────────────────────────────────────────

  async #bind(): Promise<Server> {
    const place = this.#place;
    if ("path" in place) await makeWay(place);
    if (this.#isStopped) throw stopped();
    const server = net.createServer(this.#host.sockets, (socket) => this.#onSocket(socket));
    this.#server = server;
    try {
      await listening(server, place);
      if ("path" in place) {
        this.#file = new SocketFile(place.path);
        setMode(place);
      }
    } catch (error) {
      if (this.#server === server) this.#close();
      throw error;
    }
    server.on("error", (error) => this.#lose(server, error.message));
    server.on("close", () => this.#lose(server, CLOSED));
    return server;
  }

  /** An event may come of a server that was given up before. */
  #lose(server: Server | undefined, reason: string): void {
    if (server !== this.#server || this.#isStopped) return;
    this.#close();
    const { clock } = this.#host;
    const isFinal = "fd" in this.#place;
    this.#outage = { cause: reason, reason, sinceMs: clock.now(), isFinal };
    this.#found = "none";
    // With the listener its descriptor was closed.
    if (isFinal) return this.#host.onFailed(listenFailed(this.#place, `${reason}, and it cannot be bound again`));
    this.#backoff.onLost(clock.now());
    if (this.#isSuspended) this.#again.set(NEVER);
    else this.#planRestart();
    this.#host.onChange({ type: "lost", ...this.#address, reason, downMs: 0 });
  }

  #planRestart(): void {
    const nowMs = this.#host.clock.now();
    this.#again.set(nowMs + this.#backoff.delayMs(0, nowMs, SYSTEM_ENTROPY.random()));
  }

  async #restart(): Promise<void> {
    const outage = this.#outage;
    if (outage === undefined) return;
    try {
      await this.#bind();
    } catch (error) {
      if (this.#isStopped) return;
      this.#backoff.onFailed();
      this.#outage = { ...outage, reason: (error as Error).message };
      return this.#planRestart();
    }
    if (this.#isStopped) return this.#close();
    const nowMs = this.#host.clock.now();
    this.#outage = undefined;
    this.#restarts++;
    this.#backoff.onConnected(nowMs);
    this.#beginProbes();
    const { cause: reason, sinceMs } = outage;
    this.#host.onChange({ type: "restored", ...this.#address, reason, downMs: Math.round(nowMs - sinceMs) });
  }

  #close(): void {
    const server = this.#server;
    this.#server = undefined;
    this.#probing.clear();
    this.#probe?.stop();
    this.#probe = undefined;
    this.#isProbed = this.#isReachable = false;
    if (server === undefined) return;
    if (this.#file === undefined) server.close();
    else this.#file.close(server);
    this.#file = undefined;
  }

  #onSocket(socket: Socket): void {
    this.#allAccepted++;
    if (this.#probe === undefined) this.#letIn(socket);
    else this.#probe.inspect(socket, () => this.#letIn(socket));
  }

  #letIn(socket: Socket): void {
    this.#accepted++;
    this.#host.onSocket(socket);
  }

  // ── the self-probe ──────────────────────────────────────────────────────────────────────────────────────────────

  #beginProbes(): void {
    const { selfProbeMs, clock } = this.#host;
    if (selfProbeMs > 0 && !isShared(this.#place)) this.#probing.set(clock.now() + selfProbeMs);
  }

  /**
   * Whoever has accepted a client lately does accept. The first probe is made all the same: it shows that this process
   * can reach the address at all.
   */
  #onProbing(): void {
    const server = this.#server;
    if (server === undefined) return;
    if (!server.listening) return this.#lose(server, CLOSED);
    const problem = this.#file?.problem;
    if (problem !== undefined) return this.#lose(server, problem);
    if (this.#isProbed && this.#allAccepted > this.#seenByProbe) return this.#probed("accepts");
    this.#isProbed = true;
    this.#probe = new SelfProbe({
      clock: this.#host.clock,
      to: dialledAs(this.#address, this.#place),
      accepted: () => this.#allAccepted,
      onResult: (result) => {
        this.#isReachable ||= result === "accepts";
        // A firewall, or a route to elsewhere, may keep the probe away, and nobody else.
        this.#probed(typeof result === "object" && !this.#isReachable ? "untold" : result);
      },
    });
    this.#probe.start();
  }

  #probed(result: ProbeResult): void {
    this.#probe = undefined;
    this.#seenByProbe = this.#allAccepted;
    if (typeof result === "object") return this.#lose(this.#server, `it does not accept: ${result.dead}`);
    this.#found = result;
    this.#beginProbes();
  }
}

const CLOSED = "it was closed";

function boundAddress(server: Server, place: Place): BoundAddress {
  const address = server.address();
  if (typeof address === "object" && address !== null) return { host: address.address, port: address.port };
  // Node does not know the path of a Unix socket that was given as a descriptor.
  return { host: address ?? placeText(place), port: 0 };
}

/** Other processes may accept there. */
function isShared(place: Place): boolean {
  return cluster.isWorker || "fd" in place || ("reusePort" in place && place.reusePort);
}

/** How this process reaches its own address. Windows and others do not connect to the address that stands for all. */
function dialledAs({ host, port }: BoundAddress, place: Place): NetConnectOpts {
  if ("path" in place) return { path: place.path };
  if (host === "0.0.0.0") return { host: "127.0.0.1", port };
  if (host !== "::") return { host, port };
  return { host: "ipv6Only" in place && place.ipv6Only ? "::1" : "127.0.0.1", port };
}
