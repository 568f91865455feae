/**
 * Where one dial goes: to an endpoint, and there to one of its addresses. Decides in which order the addresses are
 * dialled, and what rests when the dial, or the handshake after it, has failed.
 */
import { codeOf } from "../core/foreign.ts";
import { type AddressBook, type Endpoint, nameOf } from "../io/dial.ts";
import { type RacePlan, STAGGER_MS } from "../io/race.ts";
import type { RespliceError } from "../link/errors.ts";
import type { Clock } from "../link/ports.ts";
import type { EndpointChooser } from "./targets.ts";

/** The address that the link was connected to last. */
export interface LastAddress {
  readonly address: string;
  /** For so long no other address is dialled beside it, in milliseconds. */
  readonly aloneMs: number;
}

/** Faults of this machine, which say nothing of the address that was dialled. */
const LOCAL_FAULTS: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENETDOWN"]);
/**
 * At once, this machine has no way to the address: there is no network, or none of its family. Later, a router has said
 * so. EHOSTUNREACH is always taken for a fault of the address: it comes from routers, or after nobody on the same
 * network has answered for the address.
 */
const NO_WAY = "ENETUNREACH";

/** A kernel repeats a SYN that was lost after one second, and its answer takes a round trip. */
const SYN_REPEATED_MS = 1_000;

/**
 * How long the address that has the session is dialled alone: until a repeated SYN has had the start of one stagger
 * over the first SYN to another address, which would win otherwise, and lose the session.
 */
export function aloneMs(rttMs: number | undefined): number {
  return Math.max(SYN_REPEATED_MS, 4 * (rttMs ?? 0)) + STAGGER_MS;
}

export class Place implements AddressBook {
  readonly endpoint: Endpoint;
  readonly #chooser: EndpointChooser;
  readonly #clock: Clock;
  readonly #last: LastAddress | undefined;
  /** All addresses of the endpoint; empty until they are known, and with a Unix socket. */
  #known: readonly string[] = [];
  /** Of a dial that is under way, or has failed. */
  #unanswered: Set<string> | undefined;
  /** This machine has no way to them now. Made for the first of them. */
  #withoutWay: Set<string> | undefined;
  #address: string | undefined;

  constructor(endpoint: Endpoint, chooser: EndpointChooser, clock: Clock, last?: LastAddress) {
    this.endpoint = endpoint;
    this.#chooser = chooser;
    this.#clock = clock;
    this.#last = last;
  }

  /** The address of the connection; undefined until there is one, and with a Unix socket. */
  get address(): string | undefined {
    return this.#address;
  }

  // ── what a dial asks and tells ──────────────────────────────────────────────────────────────────────────────────

  plan(addresses: readonly string[]): RacePlan {
    this.#known = addresses;
    const { resting } = this.#chooser;
    const nowMs = this.#clock.now();
    const fresh = addresses.filter((address) => !resting.rests(this.#nameOf(address), nowMs));
    const tired = addresses
      .filter((address) => !fresh.includes(address))
      .toSorted((one, other) => resting.lastFailureMs(this.#nameOf(one)) - resting.lastFailureMs(this.#nameOf(other)));
    const last = this.#last;
    const [order, reserve] = fresh.length > 0 ? [fresh, tired] : [tired, []];
    // Where all rest, the one that may have a session still comes first.
    const leads = last !== undefined && order.includes(last.address) && (fresh.length > 0 || last.aloneMs > 0);
    if (!leads) return { order, reserve, aloneMs: 0 };
    const others = order.filter((address) => address !== last.address);
    return { order: [last.address, ...others], reserve, aloneMs: last.aloneMs };
  }

  dialled(address: string): void {
    (this.#unanswered ??= new Set()).add(address);
  }

  failed(address: string, error: Error, isAtOnce: boolean): void {
    this.#unanswered?.delete(address);
    if (isAtOnce && codeOf(error) === NO_WAY) (this.#withoutWay ??= new Set()).add(address);
    else if (!isLocal(error)) this.#rest(address);
  }

  connected(address: string): void {
    this.#address = address;
    this.#unanswered = undefined;
  }

  // ── what became of it ───────────────────────────────────────────────────────────────────────────────────────────

  /** A connection to this place speaks for the link. */
  proved(): void {
    const { resting } = this.#chooser;
    resting.connected(nameOf(this.endpoint));
    if (this.#address !== undefined) resting.connected(this.#nameOf(this.#address));
  }

  /** The dial, or the handshake on its connection, has failed. */
  gaveUp(error: RespliceError): void {
    // The link itself has taken the dial back.
    if (error.code === "LINK_ENDED" || error.code === "ABORTED") return;
    if (isLocal(error.cause) || this.#isCutOff) return this.#chooser.passOver(this.endpoint);
    if (this.#address === undefined && error.code === "TIMED_OUT")
      for (const each of this.#unanswered ?? []) this.#rest(each);
    this.leave();
  }

  /** This machine has no way to any address of the endpoint. */
  get #isCutOff(): boolean {
    return this.#known.length > 0 && this.#known.every((address) => this.#hasNoWay(address));
  }

  #hasNoWay(address: string): boolean {
    return this.#withoutWay?.has(address) === true;
  }

  /** The address of the connection rests; and the endpoint, if no other address of it is fresh and can be reached. */
  leave(): void {
    const nowMs = this.#clock.now();
    const { resting } = this.#chooser;
    if (this.#address !== undefined) this.#rest(this.#address);
    const isOfNoUse = (address: string): boolean =>
      resting.rests(this.#nameOf(address), nowMs) || this.#hasNoWay(address);
    if (this.#known.every((address) => isOfNoUse(address))) this.#chooser.failed(this.endpoint, nowMs);
  }

  #rest(address: string): void {
    this.#chooser.resting.failed(this.#nameOf(address), this.#clock.now());
  }

  /** The same address at another port is another server. */
  #nameOf(address: string): string {
    return "path" in this.endpoint ? address : nameOf({ host: address, port: this.endpoint.port });
  }
}

/** A fault of this machine. Of several addresses, those that failed by another fault rest already. */
function isLocal(error: unknown): boolean {
  return LOCAL_FAULTS.has(codeOf(error));
}
