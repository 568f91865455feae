/** ConnectionManager: all client links of a service, and the resources that they share. */
import { newId } from "../core/session/proof.ts";
import { LinkMemory } from "../io/budget.ts";
import { SystemClock } from "../io/clock.ts";
import { StreamConnection } from "../io/connection.ts";
import { SystemDial } from "../io/dial.ts";
import { DialError } from "../io/dial-error.ts";
import { SYSTEM_ENTROPY } from "../io/entropy.ts";
import { closeReport } from "../link/close-report.ts";
import { DEFAULT_CLOSE_MS } from "../link/closing.ts";
import { checkCloseAll, checkOptions, checkWait } from "../link/check.ts";
import { RespliceError } from "../link/errors.ts";
import { heldBytes, linksByState, trafficOf } from "../link/stats.ts";
import type { CloseOptions, CloseReport, Health, Link, LinkState, Traffic, WaitOptions } from "../link/types.ts";
import { Once } from "../link/waits.ts";
import type { EventCounts } from "../telemetry/event-counts.ts";
import type { LineCounts } from "../telemetry/logger.ts";
import { observe } from "../telemetry/observed.ts";
import type { SampleSource, Totals } from "../telemetry/samples.ts";
import type { PlainLink } from "../plain-link/handle.ts";
import { Telemetry } from "../telemetry/telemetry.ts";
import { DialGate } from "./gate.ts";
import {
  type ConnectionManagerOptions,
  type OpenOptions,
  resolveManagerOptions,
  resolveOpenOptions,
} from "./options.ts";
import type { ClientLinkOwner } from "./link-owner.ts";
import { durableLinks } from "./durable-link.ts";
import { LostLinks } from "./lost-links.ts";
import { type PlainHost, PlainLinkOwner } from "./plain-link.ts";
import { type OpenPlainOptions, resolveOpenPlainOptions } from "./plain-options.ts";
import type { Target } from "./targets.ts";
import { UnheardFailures } from "./unheard.ts";

/** The numbers of a manager. Counters are since its beginning and never fall. */
export interface ManagerStats {
  /** How many links are in each state, now. */
  links: Record<LinkState, number>;
  /** Attempts to connect that are under way, now. */
  dialsInFlight: number;
  /** Bytes that links hold: received and not accepted yet, and the memory of their logs. */
  bufferBytes: number;
  /** Lines for the logger. */
  lines: LineCounts;
  /** Since the beginning, of links that have ended too, as all below. */
  taken: Traffic;
  /** What the peers' applications have accepted. */
  accepted: Traffic;
  /** What was handed to consumers here. */
  received: Traffic;
  /** The same numbers, and more of the kind. */
  totals: Totals;
  /** How often something happened: links that ended, lost connections, failed attempts. */
  events: EventCounts;
}

/** In the reasons of `health()`. */
const MOST_NAMED = 10;

/** The random id of this process. */
const INSTANCE = newId(SYSTEM_ENTROPY);

/** The class sets it, as it has the private parts. */
let openerOf: typeof opener;

/**
 * For very many links to one server: each call of the function opens one, as `open()` does. The options are read and
 * checked once, and all links share them. Both throw as `open()` does.
 */
export function opener(manager: ConnectionManager, options: Target & OpenOptions): () => Link {
  return openerOf(manager, options);
}

/**
 * Holds a service's client links; they share dial limits, memory budget, timers, logger, shutdown. One for each
 * process.
 *
 * The constructor throws INVALID_OPTION.
 *
 * @example
 * ```ts
 * const manager = new ConnectionManager({ logger: console });
 * const link = manager.open({ host: "127.0.0.1", port: 7000 });
 * await link.send("hello");
 * await manager.close();
 * ```
 */
export class ConnectionManager implements AsyncDisposable {
  readonly #options: ReturnType<typeof resolveManagerOptions>;
  readonly #clock = new SystemClock();
  readonly #gate: DialGate;
  readonly #host: PlainHost;
  /** Of the links that have not ended. */
  readonly #owners = new Set<ClientLinkOwner>();
  /** Links that can be sent on. */
  readonly #open = new Set<Link>();
  readonly #lost = new LostLinks();
  /** Those of which anything is left: a peer may have to hear of the end yet. */
  readonly #unforgotten = new Set<ClientLinkOwner>();
  readonly #telemetry: Telemetry;
  #ids = 0;
  readonly #closing: Once<CloseReport> = new Once();

  constructor(options: ConnectionManagerOptions = {}) {
    this.#options = resolveManagerOptions(options);
    const { maxDialsInFlight, maxDialsPerSecond, maxBufferBytes } = this.#options;
    const source: SampleSource = {
      links: () => Array.from(this.#owners, ({ engine }) => engine.stats()),
      counts: () => ({}),
      levels: () => this.#levels(),
    };
    this.#telemetry = new Telemetry("manager.metrics", this.#options, source, () => this.#clock.now());
    this.#gate = new DialGate(this.#clock, maxDialsInFlight, maxDialsPerSecond);
    const system = new SystemDial(this.#clock);
    this.#host = {
      clock: this.#clock,
      gate: this.#gate,
      dial: async (endpoint, dialOptions) => new StreamConnection(await system.dial(endpoint, dialOptions), true),
      startTls: async (connection, endpoint, tlsOptions) => {
        const stream = (connection as StreamConnection).release();
        if (stream === undefined) {
          connection.destroy();
          throw new DialError("failed", "TLS cannot begin while bytes are still to be written");
        }
        const secured = await system.startTls(stream, endpoint, tlsOptions);
        return new StreamConnection(secured, true, connection.remoteAddress);
      },
      entropy: SYSTEM_ENTROPY,
      nextId: () => ++this.#ids,
      memory: new LinkMemory(maxBufferBytes),
      instance: INSTANCE,
      journal: this.#telemetry.journal,
      unheard: this.#options.logger === undefined ? new UnheardFailures() : undefined,
      onLeft: ({ link }) => this.#open.delete(link),
      onBack: ({ link }) => this.#open.add(link),
      onEnded: (owner) => {
        this.#telemetry.linkEnded(owner.engine);
        this.#owners.delete(owner);
      },
      onLost: ({ destination, link: { id } }, error) => this.#lost.add(destination, { id, error }),
      onCloseCalled: ({ destination, link }) => this.#lost.closed(destination, link.id),
      onGone: (owner) => this.#unforgotten.delete(owner),
    };
    observe(this, {
      kind: "manager",
      telemetry: this.#telemetry,
      health: () => this.health(),
      links: () => this.#owners,
      limits: () => ({ maxDialsInFlight, maxDialsPerSecond, maxBufferBytes }),
    });
    this.#telemetry.start();
  }

  /** Links that can be sent on: a link leaves the set when it ends or begins to drain. */
  get links(): ReadonlySet<Link> {
    return this.#open;
  }

  /**
   * Opens a link to a server that is not resplice. Returns at once and dials; send() may be called right away. Throws
   * INVALID_OPTION, INVALID_ARGUMENT for no options, and INVALID_STATE when the manager is closing.
   */
  open(options: Target & OpenPlainOptions): PlainLink;
  /** Opens a link to a resplice server. It returns and throws as above. */
  open(options: Target & OpenOptions): Link;
  open(options: Target & (OpenPlainOptions | OpenOptions)): Link {
    if (this.#closing.isBegun) throw isClosing();
    return this.#begin(this.#maker(options)());
  }

  #begin(owner: ClientLinkOwner): Link {
    const { dialer, engine, link, destination } = owner;
    this.#lost.replaced(destination);
    this.#owners.add(owner);
    this.#open.add(link);
    this.#unforgotten.add(owner);
    dialer.start(engine);
    return link;
  }

  #maker(options: Target & (OpenPlainOptions | OpenOptions)): () => ClientLinkOwner {
    const { defaults } = this.#options;
    checkOptions("open()", options, '{ host: "10.0.0.7", port: 7000 }');
    if (options.protocol === undefined) return durableLinks(resolveOpenOptions(options, defaults), this.#host);
    const resolved = resolveOpenPlainOptions(options, defaults);
    return () => new PlainLinkOwner(resolved, this.#host);
  }

  static {
    openerOf = (manager, options) => {
      const make = manager.#maker(options);
      return () => {
        if (manager.#closing.isBegun) throw isClosing();
        return manager.#begin(make());
      };
    };
  }

  /**
   * Resolves when all open links are connected, or at rest (`idleCloseMs` of a plain link). Rejects with the error of
   * the first that ends instead, or has ended before (see `health()`); ABORTED; INVALID_STATE when the manager is
   * closing.
   */
  async connected(options?: WaitOptions): Promise<void> {
    checkWait("connected()", options);
    if (this.#closing.isBegun) throw isClosing();
    const [lost] = this.#lost.all;
    if (lost !== undefined) throw lost.error;
    const awake = [...this.#owners].filter(({ core }) => core.isAtRest !== true);
    await Promise.all(awake.map(({ engine }) => engine.connected(options)));
  }

  /**
   * For a readiness probe. 'degraded': some links are not connected. 'down': no link is, or the manager is closing. A
   * link that has ended with an error counts as one that is not connected, until another link to the same target is
   * opened, or close() is called on it. The reasons name ten links at the most, and how many more there are.
   */
  health(): Health {
    if (this.#closing.isBegun) return { status: "down", reasons: ["closing"] };
    const owners = [...this.#owners];
    const away = owners.filter((owner) => !isReady(owner) && owner.engine.state !== "closed");
    const missing = away.length + this.#lost.size;
    if (missing === 0) return { status: "healthy", reasons: [] };
    const status = owners.some(isReady) ? "degraded" : "down";
    const reasons = [
      ...this.#lost.all.map(({ id, error }) => `link ${id} has ended: ${error.code}: ${error.message}`),
      ...away.slice(0, MOST_NAMED).map(({ engine, reason }) => `link ${engine.id} is ${engine.state}: ${reason}`),
    ].slice(0, MOST_NAMED);
    if (missing > MOST_NAMED) reasons.push(`and ${missing - MOST_NAMED} more links`);
    return { status, reasons };
  }

  /** The numbers of all links together, as they are now. */
  stats(): ManagerStats {
    const { lines, sinceBeginning } = this.#telemetry;
    return {
      links: linksByState(Array.from(this.#owners, ({ engine }) => engine)),
      ...trafficOf(sinceBeginning.totals),
      ...this.#levels(),
      ...sinceBeginning,
      lines,
    };
  }

  #levels(): Pick<ManagerStats, "dialsInFlight" | "bufferBytes"> {
    return {
      dialsInFlight: this.#gate.inFlight,
      bufferBytes: heldBytes(Array.from(this.#unforgotten, ({ core }) => core)),
    };
  }

  /**
   * Drains and closes all links; no link can be opened any more. A link in mode "bytes" may come to its own end until
   * the deadline, and is then aborted. When it resolves, no connection, dial or timer of the manager is left. Never
   * rejects. A second call returns the same promise. Throws INVALID_ARGUMENT, INVALID_OPTION.
   */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    checkCloseAll(options);
    return this.#closing.run(() => this.#close(options));
  }

  async #close(options: CloseOptions): Promise<CloseReport> {
    this.#telemetry.stop();
    // Of those that are here now: one that a listener ends meanwhile is reported, too.
    const open = new Set(this.#owners);
    const closed = [...this.#unforgotten].map(async (owner) => {
      const report = await owner.engine.closeByOwner({ deadlineMs: DEFAULT_CLOSE_MS, ...options });
      // The peer of one that had ended before may have heard of that only now.
      return open.has(owner) ? [[owner.link, report] as const] : [];
    });
    const report = closeReport((await Promise.all(closed)).flat());
    this.#telemetry.close();
    return report;
  }

  /** close() with its defaults: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Connected, or without a need for a connection. */
function isReady({ core, engine }: ClientLinkOwner): boolean {
  return core.isAtRest === true || engine.state === "connected";
}

function isClosing(): RespliceError {
  return new RespliceError("INVALID_STATE", "the manager is closing");
}
