/** The near end of a tunnel: listens where the applications are, and has a link to the far end for each connection. */
import { randomUUID } from "node:crypto";
import net from "node:net";
import {
  ConnectionManager,
  type Link,
  type LinkReport,
  type Logger,
  type OpenOptions,
  type StateChange,
  type SupervisedServer,
  supervise,
  type Target,
} from "../index.ts";
import { opener } from "../client/manager.ts";
import { SystemClock } from "../io/clock.ts";
import type { AddressList } from "../io/address-list.ts";
import { ignoreError } from "../io/connection.ts";
import type { Clock, Timer } from "../link/ports.ts";
import { listening } from "../server/listening/listen-error.ts";
import type { Place } from "../server/listening/places.ts";
import { makeWay } from "../server/listening/socket-file.ts";
import { ClientHeaders, endsOf } from "./client-ends.ts";
import { type Ending, reset } from "./join.ts";
import { logEnding, logRefused, sourceText, type TunnelLog } from "./log.ts";
import { NearCarrier, type NearCarrierHost } from "./near-carrier.ts";
import type { Ends } from "./proxy-header.ts";
import { Spares } from "./spares.ts";
import { ABORTED, introduce, LINK_OPTIONS, RESOURCES, type Role } from "./terms.ts";

/** A local address, and the target of whoever connects to it. */
export interface Forward {
  readonly listen: Place;
  /** HOST:PORT, or unix:PATH, as the far end knows it. */
  readonly to: string;
}

export interface NearEndOptions {
  readonly far: Target;
  /** How the far end is connected, and who we are: functions are called for each attempt. */
  readonly connect: Pick<OpenOptions, "tls" | "credentials">;
  readonly forwards: readonly Forward[];
  readonly name: string | undefined;
  /** Milliseconds that a connection outlives a path. */
  readonly surviveMs: number;
  /** Of all forwards together. Undefined: for each, nine tenths of the descriptors. */
  readonly maxConnections: number | undefined;
  /** The balancers whose connections begin with a PROXY header, which names the client. Undefined: none do. */
  readonly balancers: AddressList | undefined;
  readonly log: TunnelLog;
  readonly logger: Logger | undefined;
}

/** Bursts of connections: a plain relay dials a thousand of them at once. */
const DIALS = { maxDialsInFlight: 1_024, maxDialsPerSecond: 10_000 } as const;
const ACCEPTS_PER_SECOND = 20_000;
/** An application whose machine is gone says nothing any more: the system asks. */
const SOCKETS = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 } as const;
/** One link for all notices that a path is silent, in 2 to 4 s. */
const CONTROL_KEEPALIVE = { pingAfterMs: 1_000, suspectAfterMs: 2_000 } as const;
/** How long until a control link is opened again: one that ended because an end was restarted, and any other. */
const CONTROL_SOON_MS = 100;
const CONTROL_AGAIN_MS = 5_000;
/** What a control link ends with whose near end may come back at once; close-timeout: the far end had no time to drain. */
const GOODBYES: ReadonlySet<string> = new Set([ABORTED.closing, ABORTED.restarted, "close-timeout"]);
/** For the far end to hear of what was reset. */
const TELL_MS = 1_000;

export class NearEnd {
  readonly #options: NearEndOptions;
  readonly #instance = randomUUID();
  readonly #clock: Clock = new SystemClock();
  readonly manager: ConnectionManager;
  readonly #headers: ClientHeaders | undefined;
  readonly #servers: Array<{ server: net.Server; supervised: SupervisedServer }> = [];
  readonly #spares: Spares;
  /** Opens a link that carries connections. */
  #openLink: (() => Link) | undefined;
  /** Those that carry a connection. */
  readonly #busy = new Set<NearCarrier>();
  /** One object for all carriers. */
  readonly #carrierHost: NearCarrierHost = {
    onAway: (carrier) => {
      // What carries nothing has nothing to survive.
      if (!this.#busy.has(carrier)) this.#spares.drop(carrier);
    },
    onFree: (carrier) => {
      this.#left(carrier);
      if (this.#isClosing) carrier.abort("closing");
      else this.#spares.put(carrier);
    },
    onGone: (carrier) => {
      this.#spares.drop(carrier);
      this.#left(carrier);
    },
  };
  /** Connections that have not ended, of all forwards. */
  #carried = 0;
  /** Connections whose link is not connected yet. */
  #waiting = 0;
  #control: Link | undefined;
  readonly #controlAgain: Timer;
  #isClosing = false;
  #onIdle: (() => void) | undefined;

  constructor(options: NearEndOptions) {
    this.#options = options;
    const { logger, balancers, log } = options;
    this.manager = new ConnectionManager({ ...DIALS, ...(logger === undefined ? {} : { logger }) });
    this.#headers =
      balancers === undefined
        ? undefined
        : new ClientHeaders(balancers, this.#clock, (socket, problem) => {
            const from = sourceText(endsOf(socket));
            log("warn", "tunnel.header", `${from}: ${problem}`, { from });
            reset(socket);
          });
    this.#spares = new Spares(
      {
        open: () => this.#openCarrier(),
        isBusy: () => this.#waiting > 0 || this.#control?.state !== "connected",
      },
      this.#clock,
    );
    this.#controlAgain = this.#clock.timer(() => this.#openControl());
  }

  /** Resolves with the addresses, in the order of the forwards; rejects with the error of the first that cannot listen. */
  async listen(): Promise<Array<net.AddressInfo | string | null>> {
    this.#openControl();
    const { forwards, maxConnections, logger } = this.#options;
    return Promise.all(
      forwards.map(async ({ listen, to }) => {
        const server = net.createServer(SOCKETS, (socket) => this.#accept(socket, to));
        // One of them may have all the connections; one more is refused here, which the log says.
        const limits = {
          acceptsPerSecond: ACCEPTS_PER_SECOND,
          ...(maxConnections === undefined ? {} : { connections: maxConnections + 1 }),
        };
        this.#servers.push({
          server,
          supervised: supervise(server, { limits, resources: RESOURCES, ...(logger && { logger }) }),
        });
        // A near end that was killed leaves the file of its Unix socket.
        if ("path" in listen) await makeWay(listen);
        await listening(server, listen);
        return server.address();
      }),
    );
  }

  get servers(): readonly SupervisedServer[] {
    return this.#servers.map(({ supervised }) => supervised);
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  #accept(socket: net.Socket, to: string): void {
    socket.on("error", ignoreError);
    if (this.#headers === undefined) return this.#carry(socket, endsOf(socket), to);
    this.#headers.read(socket, (ends) => this.#carry(socket, ends, to));
  }

  #carry(socket: net.Socket, ends: Ends | undefined, to: string): void {
    if (this.#isClosing || socket.destroyed) return reset(socket);
    const { maxConnections = Infinity, log } = this.#options;
    if (this.#carried >= maxConnections) {
      logRefused(log, { ends, to }, "too-many-connections", `this end has ${this.#carried}`);
      return reset(socket);
    }
    const carrier = this.#spares.take() ?? this.#openForConnection();
    this.#busy.add(carrier);
    this.#carried++;
    carrier.connect(socket, { to, ends }, (ending: Ending) => {
      this.#carried--;
      logEnding(log, { ends, to }, ending, "up");
    });
  }

  #openForConnection(): NearCarrier {
    const carrier = this.#openCarrier();
    this.#waiting++;
    const settled = (): void => {
      this.#waiting--;
      this.#spares.refill();
    };
    carrier.link.connected().then(settled, settled);
    return carrier;
  }

  // ── links ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #openerAs(role: Role, options: Pick<OpenOptions, "keepalive" | "reconnect">): () => Link {
    const { far, connect, name } = this.#options;
    return opener(this.manager, {
      ...far,
      ...LINK_OPTIONS,
      ...connect,
      ...options,
      openPayload: introduce({ role, instance: this.#instance, name }),
    });
  }

  #openCarrier(): NearCarrier {
    this.#openLink ??= this.#openerAs("carrier", { reconnect: { maxElapsedMs: this.#options.surviveMs } });
    return new NearCarrier(this.#openLink(), this.#carrierHost, this.#clock);
  }

  #left(carrier: NearCarrier): void {
    this.#busy.delete(carrier);
    if (this.#busy.size === 0) this.#onIdle?.();
  }

  /**
   * When its path is silent or lost, so may be those of the others: they ask at once, and need not find out one by one.
   * Those that carry nothing are closed.
   */
  #openControl(): void {
    if (this.#isClosing) return;
    const link = this.#openerAs("control", { keepalive: CONTROL_KEEPALIVE })();
    this.#control = link;
    const { log } = this.#options;
    let isFirst = true;
    let told: string | undefined;
    link.on("state", (change) => {
      const { to, reason } = change;
      if (to === "suspect" || to === "reconnecting") {
        // Each attempt that fails leads here, and says the same.
        if (told !== reason) log("warn", "tunnel.path", pathText(change, isFirst));
        told = reason;
        for (const carrier of this.#busy) carrier.link.ping();
        // What is silent, too, has carried nothing that would tell: whoever were given it would wait for seconds.
        this.#spares.renew();
      }
      if (to !== "connected") return;
      log("info", "tunnel.path", isFirst ? "connected to the far end" : "the path to the far end is back");
      isFirst = false;
      told = undefined;
      for (const carrier of this.#busy) if (carrier.link.state === "reconnecting") carrier.link.retryNow();
      this.#spares.refill();
    });
    // The peer says nothing on it: reading lets the link hear of the peer's end.
    link.onMessage(() => {});
    void link.closed.then((report) => this.#controlEnded(report));
  }

  #controlEnded({ error }: LinkReport): void {
    if (this.#isClosing) return;
    const isUsable = error?.code === "SESSION_LOST" || GOODBYES.has(error?.peerCode ?? "");
    if (!isUsable) {
      const why = error === undefined ? "it has ended the link" : error.message;
      this.#options.log("error", "tunnel.path", `the far end cannot be used: ${why}`);
    }
    this.#controlAgain.set(this.#clock.now() + (isUsable ? CONTROL_SOON_MS : CONTROL_AGAIN_MS));
  }

  // ── changes, and the end ────────────────────────────────────────────────────────────────────────────────────────

  /** The files behind `connect` have changed: connections go on, and no spare is used that was opened before. */
  renew(): void {
    this.#spares.renew();
  }

  /** Connections that are carried now. */
  get connections(): number {
    return this.#busy.size;
  }

  /**
   * Listens no more, lets connections end for `drainMs`, and resets those that are left; aborting `signal` resets them at
   * once. Answers how many were reset.
   */
  async close(drainMs: number, signal: AbortSignal): Promise<number> {
    this.#isClosing = true;
    this.#controlAgain.clear();
    for (const { server } of this.#servers) server.close();
    this.#headers?.destroyAll();
    this.#spares.close();
    await this.#idle(drainMs, signal);
    const left = [...this.#busy];
    for (const carrier of left) carrier.fail("the near end was shut down");
    this.#control?.abort("closing");
    await this.manager.close({ deadlineMs: TELL_MS });
    await Promise.all(this.#servers.map(({ supervised }) => supervised.close({ deadlineMs: 0 })));
    return left.length;
  }

  #idle(drainMs: number, signal: AbortSignal): Promise<void> {
    if (this.#busy.size === 0 || signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const deadline = this.#clock.timer(resolve);
    deadline.set(this.#clock.now() + drainMs);
    this.#onIdle = resolve;
    signal.addEventListener("abort", () => resolve(), { once: true });
    return promise.finally(() => deadline.clear());
  }
}

/** `isFirst`: the far end was never connected. */
function pathText(change: StateChange, isFirst: boolean): string {
  if (change.to !== "reconnecting") return `the path to the far end is silent: ${change.reason}`;
  const why = change.error?.message ?? change.reason;
  return isFirst ? `the far end cannot be reached: ${why}` : `the path to the far end is lost: ${why}`;
}
