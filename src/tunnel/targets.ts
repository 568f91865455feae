/** Connects to the targets of a far end: those that the allow-list has, and there only the addresses that it allows. */
import dns from "node:dns";
import net, { type LookupFunction, type Socket } from "node:net";
import { codeOf } from "../core/foreign.ts";
import { RespliceError } from "../index.ts";
import { abortWith } from "../io/abort-with.ts";
import { DialError } from "../io/dial-error.ts";
import { type AddressBook, type ConnectSocket, type Endpoint, SystemDial } from "../io/dial.ts";
import { Lookups } from "../io/lookup.ts";
import { resetDial } from "../io/reset.ts";
import type { Clock } from "../link/ports.ts";
import type { AllowList } from "./allow.ts";
import { connectSocket } from "./read-memory.ts";
import { formatTarget, type Target } from "./target.ts";

export type RefusedCode =
  | "not-allowed"
  | "unknown-host"
  | "refused"
  | "timed-out"
  | "unreachable"
  | "failed"
  /** Of the far end itself. */
  | "closing"
  | "too-many-connections";

/** Why there is no connection to a target. */
export class TargetRefused extends Error {
  override readonly name = "TargetRefused";
  readonly code: RefusedCode;
  /** For the client. `message`, for the log of the far end, may say more: what is allowed is nobody's business. */
  readonly told: string;

  constructor(code: RefusedCode, message: string, told: string = message) {
    super(message);
    this.code = code;
    this.told = told;
  }
}

export interface TargetsOptions {
  /** Default: `dns.lookup()`. */
  lookup?: LookupFunction;
  /** Default: `connectSocket()`, whose sockets are read by `readInto()`. */
  connectSocket?: ConnectSocket;
}

/** For the target's name, and the names of the allow-list. */
const LOOKUP_MS = 5_000;
/** The near end waits for 10 s: it is to hear what was wrong. */
const CONNECT_MS = 8_000;
const KEEPALIVE_MS = 60_000;
/** A lookup that nobody waits for any more cannot be taken back: the system answers some time. */
const MOST_LOOKUPS = 1_000;

export class Targets {
  /** For connections that are begun from now on. */
  allow: AllowList;
  readonly #clock: Clock;
  readonly #dial: SystemDial;
  readonly #lookups: Lookups;
  readonly #lookup: LookupFunction;
  #lookingUp = 0;

  constructor(clock: Clock, allow: AllowList, options: TargetsOptions = {}) {
    const { lookup = dns.lookup, connectSocket: connect = connectSocket } = options;
    this.allow = allow;
    this.#clock = clock;
    this.#dial = new SystemDial(
      clock,
      (to) => connect({ ...to, allowHalfOpen: true }),
      (socket) => resetDial(socket, clock),
    );
    this.#lookups = new Lookups(clock);
    this.#lookup = (host, lookupOptions, answer) => {
      if (this.#lookingUp >= MOST_LOOKUPS) return answer(new Error("too many names are being looked up"), []);
      this.#lookingUp++;
      lookup(host, lookupOptions, (...answers) => {
        this.#lookingUp--;
        answer(...answers);
      });
    };
  }

  /**
   * Resolves with a connection whose directions end apart. Rejects with a TargetRefused, at the latest after 5 s for
   * the names and 8 s for the connection; with ABORTED when `signal` is.
   */
  async connect(target: Target, identity: string | undefined, signal: AbortSignal): Promise<Socket> {
    const addresses = "path" in target ? this.#path(target, identity) : await this.#addresses(target, identity, signal);
    if (signal.aborted) throw aborted(signal);
    return this.#connect(target, addresses, signal);
  }

  #path(target: { path: string }, identity: string | undefined): readonly [] {
    if (this.allow.allowsPath(target.path, identity)) return [];
    throw refused(target, "not-allowed", "no entry of the allow-list for this client has this path");
  }

  async #addresses(
    target: { host: string; port: number },
    identity: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const stop = new AbortController();
    const deadline = this.#clock.timer(() => stop.abort(new Error(`no answer within ${LOOKUP_MS / 1_000} s`)));
    deadline.set(this.#clock.now() + LOOKUP_MS);
    const apart = abortWith(signal, stop);
    const lookUp = (name: string): Promise<readonly string[]> =>
      this.#lookups.addresses(name, this.#lookup, stop.signal);
    const ruling = await this.allow.rule(target.host, target.port, identity, lookUp);
    deadline.clear();
    apart();
    if (signal.aborted) throw aborted(signal);
    if ("addresses" in ruling) return ruling.addresses;
    throw refused(target, ruling.refused, ruling.why);
  }

  async #connect(target: Target, addresses: readonly string[], signal: AbortSignal): Promise<Socket> {
    const dialled = new Dialled();
    try {
      const stream = await this.#dial.dial(endpointOf(target, addresses), {
        connectMs: CONNECT_MS,
        tlsMs: CONNECT_MS,
        tls: false,
        signal,
        addresses: dialled,
        socket: { localAddress: undefined, keepAlive: KEEPALIVE_MS, noDelay: true },
        lookup: (_host, _options, answer) => answer(null, addresses.map(asAnswer)),
      });
      // A dial without TLS answers the socket itself.
      return stream as Socket;
    } catch (error) {
      if (signal.aborted) throw aborted(signal);
      if (!(error instanceof DialError)) throw error;
      throw new TargetRefused(codeFor(error), `${formatTarget(target)} ${dialled.inWords(error)}`);
    }
  }
}

function endpointOf(target: Target, addresses: readonly string[]): Endpoint {
  if ("path" in target || net.isIP(target.host) === 0) return target;
  // As the allow-list compares it: IPv4, where the target is an IPv4-mapped IPv6 address.
  const [host = target.host] = addresses;
  return { host, port: target.port };
}

function asAnswer(address: string): { address: string; family: number } {
  return { address, family: net.isIP(address) };
}

/** The addresses of one dial, and what each has said. */
class Dialled implements AddressBook {
  readonly #said = new Map<string, string>();

  plan(order: readonly string[]): ReturnType<AddressBook["plan"]> {
    return { order, reserve: [], aloneMs: 0 };
  }

  dialled(address: string): void {
    this.#said.set(address, "no answer");
  }

  failed(address: string, error: Error): void {
    this.#said.set(address, codeOf(error) ?? error.message);
  }

  connected(): void {}

  inWords(error: DialError): string {
    // The error of a path names what to look for.
    if (this.#said.size === 0) return `cannot be connected to: ${error.message}`;
    const each = [...this.#said].map(([address, said]) => `${address} ${said}`).join(", ");
    return `${WORDS[codeFor(error)]}: ${each}`;
  }
}

const WORDS: Readonly<Record<ReturnType<typeof codeFor>, string>> = {
  refused: "refuses connections",
  "timed-out": `does not answer within ${CONNECT_MS / 1_000} s`,
  unreachable: "cannot be reached",
  failed: "cannot be connected to",
};

function codeFor(error: DialError): "refused" | "timed-out" | "unreachable" | "failed" {
  if (error.kind === "timed-out") return "timed-out";
  switch (codeOf(error.cause)) {
    case "ECONNREFUSED":
    // Of Unix sockets: nobody listens there.
    case "ENOENT":
    case "ENOTSOCK":
      return "refused";
    case "ETIMEDOUT":
      return "timed-out";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
    case "ENETDOWN":
    case "EADDRNOTAVAIL":
      return "unreachable";
    default:
      return "failed";
  }
}

function refused(target: Target, code: "not-allowed" | "unknown-host", why: string): TargetRefused {
  const text = formatTarget(target);
  if (code === "not-allowed")
    return new TargetRefused(code, `${text} is not allowed: ${why}`, `${text} is not allowed`);
  return new TargetRefused(code, `${text}: ${why}`);
}

function aborted(signal: AbortSignal): RespliceError {
  return new RespliceError("ABORTED", "connecting to a target was aborted", { cause: signal.reason });
}
