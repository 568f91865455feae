/** The far end of a tunnel: near ends connect to it, and it connects to the targets. */
import type { Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import {
  type Link,
  type ListenAddress,
  type Listening,
  type Logger,
  ServerSupervisor,
  type ServerSupervisorOptions,
} from "../index.ts";
import { SystemClock } from "../io/clock.ts";
import { openPayloadOf } from "../link/forwarding.ts";
import type { Clock } from "../link/ports.ts";
import type { AllowList } from "./allow.ts";
import { Busy } from "./busy.ts";
import { Controls } from "./controls.ts";
import { FarCarrier, type FarCarrierHost } from "./far-carrier.ts";
import { FreeLinks, MOST_FREE } from "./free-links.ts";
import { Instances } from "./instances.ts";
import type { Ending } from "./join.ts";
import { logEnding, logRefused, type TunnelLog } from "./log.ts";
import { proxyHeader, type ProxyVersion } from "./proxy-header.ts";
import type { OpenRecord } from "./records.ts";
import { parseTarget } from "./target.ts";
import { TargetRefused, Targets, type TargetsOptions } from "./targets.ts";
import { ABORTED, LINK_OPTIONS, readIntroduction, RESOURCES } from "./terms.ts";
import { identify, type Proofs } from "./tokens.ts";

export interface FarEndOptions {
  readonly listen: ListenAddress;
  readonly tls: Exclude<ServerSupervisorOptions["tls"], undefined>;
  /** Undefined: everyone may connect. */
  readonly proofs: Proofs | undefined;
  /** What near ends may reach. */
  readonly allow: AllowList;
  /** Targets are told the address of the client, by a header of this version. Undefined: they are not. */
  readonly proxy: ProxyVersion | undefined;
  /** Milliseconds that a connection outlives a path. */
  readonly surviveMs: number;
  /** Undefined: no more than the sessions that a ServerSupervisor takes by default. */
  readonly maxConnections: number | undefined;
  /** Of each identity. Undefined: nine tenths of `maxConnections`. */
  readonly maxConnectionsEach: number | undefined;
  readonly log: TunnelLog;
  readonly logger: Logger | undefined;
  /** For tests. */
  readonly targets?: TargetsOptions;
}

/** What a far end has read again. */
export interface Renewed extends Pick<FarEndOptions, "proofs" | "allow"> {
  readonly tls: SecureContextOptions | undefined;
}

/** Bursts of connections: a plain relay accepts a thousand of them at once. */
const BUDGETS = { opensPerSecond: 10_000, resumesPerSecond: 10_000, standbysPerSecond: 1_000, authenticating: 1_000 };

export class FarEnd {
  readonly #options: FarEndOptions;
  readonly supervisor: ServerSupervisor;
  readonly #instances: Instances;
  readonly #targets: Targets;
  readonly #clock: Clock = new SystemClock();
  #proofs: Proofs | undefined;
  /** Which has signed the certificates of clients. */
  #authority: SecureContextOptions["ca"];
  readonly #carriers = new Set<FarCarrier>();
  /** One object for all carriers. */
  readonly #carrierHost: FarCarrierHost = {
    connect: (open, link, signal) => this.#connect(open, link, signal),
    onBusy: ({ link }) => this.#free.delete(link),
    onFree: (carrier) => {
      if (this.#isClosing) carrier.finish(ABORTED.closing);
      else this.#free.add(carrier.link);
    },
    onEnded: (open, link, ending) => this.#ended(open, link, ending),
    onRefused: ({ ends, to }, { identity }, { code, message }) =>
      logRefused(this.#options.log, { ends, to, identity }, code, message),
    onGone: (carrier) => {
      this.#carriers.delete(carrier);
      this.#free.delete(carrier.link);
      this.#instances.left(carrier.link);
    },
  };
  readonly #controls = new Controls();
  readonly #free = new FreeLinks(this.#clock);
  readonly #busy: Busy;
  #isClosing = false;

  constructor(options: FarEndOptions) {
    this.#options = options;
    const { listen, tls, proofs, allow, surviveMs, maxConnections, maxConnectionsEach, log, logger } = options;
    this.#proofs = proofs;
    this.#authority = tls === false ? undefined : tls.ca;
    this.#targets = new Targets(this.#clock, allow, options.targets);
    this.#busy = new Busy({ most: maxConnections ?? Infinity, mostEach: maxConnectionsEach });
    this.#instances = new Instances(log, this.#clock);
    this.supervisor = new ServerSupervisor({
      ...LINK_OPTIONS,
      addresses: [listen],
      tls,
      resumeForMs: surviveMs,
      resources: RESOURCES,
      limits: {
        ...BUDGETS,
        ...(maxConnections === undefined ? {} : limitsFor(maxConnections)),
        ...(maxConnectionsEach === undefined ? {} : { sessionsPerIdentity: maxConnectionsEach + MOST_FREE }),
      },
      ...(proofs === undefined
        ? {}
        : {
            authenticate: ({ credentials, certificate }) => identify(this.#proofs ?? proofs, credentials, certificate),
          }),
      ...(logger === undefined ? {} : { logger }),
    });
    this.supervisor.serve((link) => this.#arrived(link));
  }

  listen(): Promise<Listening> {
    return this.supervisor.listen();
  }

  #arrived(link: Link): void {
    const introduction = readIntroduction(openPayloadOf(link));
    if (introduction === undefined) {
      this.#options.log(
        "warn",
        "tunnel.stranger",
        `${link.remoteAddress ?? "a client"} is no near end of this version`,
      );
      return link.abort(ABORTED.stranger);
    }
    if (this.#isClosing) return link.abort(ABORTED.closing);
    this.#instances.arrived(link, introduction);
    if (introduction.role === "control") return this.#control(link);
    this.#carriers.add(new FarCarrier(link, this.#carrierHost, this.#clock));
    this.#free.add(link);
  }

  #control(link: Link): void {
    void link.closed.then(() => this.#instances.left(link));
    if (!this.#controls.add(link)) return link.abort(ABORTED.tooManyControls);
    // Nothing comes on it: reading lets the link hear of the peer's end.
    link.onMessage(() => {});
  }

  async #connect({ to, ends }: OpenRecord, { identity }: Link, signal: AbortSignal): Promise<Socket> {
    if (this.#isClosing) throw new TargetRefused("closing", "the far end is shutting down");
    const { proxy } = this.#options;
    this.#busy.add(identity);
    try {
      const socket = await this.#targets.connect(parseTarget(to), identity, signal);
      if (proxy !== undefined) socket.write(proxyHeader(proxy, ends));
      return socket;
    } catch (error) {
      this.#busy.delete(identity);
      throw error;
    }
  }

  #ended({ ends, to }: OpenRecord, { identity }: Link, ending: Ending): void {
    this.#busy.delete(identity);
    logEnding(this.#options.log, { ends, to, identity }, ending, "down");
  }

  /** Connections that are carried now. */
  get connections(): number {
    return this.#busy.count;
  }

  /**
   * For connections that are made from now on. Whoever had a token that is gone, and everyone if certificates of clients
   * have another authority, is asked anew: connections of a near end that can still show who it is go on. `tls`: as at
   * the start, undefined if there was none. If it is no use this throws, and nothing has changed.
   */
  renew({ tls, proofs, allow }: Renewed): void {
    if (tls !== undefined) this.supervisor.setSecureContext(tls);
    const before = this.#proofs;
    const isOtherAuthority = proofs?.certificates === true && !isDeepStrictEqual(tls?.ca, this.#authority);
    this.#proofs = proofs;
    this.#authority = tls?.ca;
    this.#targets.allow = allow;
    const lost = before?.tokens === undefined ? undefined : proofs?.tokens?.lostSince(before.tokens);
    for (const link of this.supervisor.links) {
      if (isOtherAuthority || (link.identity !== undefined && lost?.has(link.identity) === true)) link.reauthenticate();
    }
  }

  /**
   * Lets no connection in, lets those that are here end for `drainMs`, and resets those that are left; aborting `signal`
   * resets them at once. Answers how many were reset.
   */
  async close(drainMs: number, signal: AbortSignal): Promise<number> {
    this.#isClosing = true;
    this.#free.close();
    for (const carrier of this.#carriers) if (carrier.isFree) carrier.finish(ABORTED.closing);
    this.#controls.abort(ABORTED.closing);
    const { left } = await this.supervisor.close({ deadlineMs: drainMs, signal });
    return left;
  }
}

/** A connection may have a standby beside its own, and each near end has spares and a control link. */
function limitsFor(maxConnections: number): { connections: number; sessions: number } {
  return { connections: 2 * maxConnections + MOST_FREE, sessions: maxConnections + MOST_FREE };
}
