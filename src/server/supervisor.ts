/** ServerSupervisor: a listener, and the links that its connections bring. */
import type { Duplex } from "node:stream";
import type { SecureContextOptions } from "node:tls";
import { nextSupervisorState, type SupervisorInput, type SupervisorState } from "../core/states.ts";
import { SystemClock } from "../io/clock.ts";
import { discard, unfitness } from "../io/fitness.ts";
import { SYSTEM_ENTROPY } from "../io/entropy.ts";
import { READING_LINE } from "../io/reading-line.ts";
import { DESCRIPTOR_RESERVE } from "../io/resources/reserve.ts";
import { closeReport } from "../link/close-report.ts";
import { checkWait } from "../link/check.ts";
import { CheckedEmitter } from "../link/emitter.ts";
import { aborted, invalidOption, RespliceError } from "../link/errors.ts";
import { runContained } from "../link/life.ts";
import { trafficOf } from "../link/stats.ts";
import type { CloseReport, Health, Link, WaitOptions } from "../link/types.ts";
import { Once, unlessAborted } from "../link/waits.ts";
import type { PlainProtocol } from "../plain/plain.ts";
import type { PlainLink } from "../plain-link/handle.ts";
import { observe } from "../telemetry/observed.ts";
import type { OverloadReport } from "../telemetry/record.ts";
import type { SampleSource } from "../telemetry/samples.ts";
import { Telemetry } from "../telemetry/telemetry.ts";
import { type AcceptOptions, acceptedAddress } from "./accept-options.ts";
import type { AccessOptions } from "./access.ts";
import { type Capacity, recordCapacity } from "./capacity.ts";
import { drain, type DrainOptions, type ResolvedDrain, resolveDrain } from "./drain.ts";
import { MOST_LINGERING } from "./lingering.ts";
import { Listener } from "./listener.ts";
import { ListenerFilter } from "./listener-filter.ts";
import type { ListenerChange } from "./listening/acceptor.ts";
import type { BoundAddress, ListenAddress, Listening } from "./listening/places.ts";
import type { ResolvedListening } from "./listening-options.ts";
import type { Limits, ServerSupervisorOptions } from "./options.ts";
import { Buffers } from "./overload/buffers.ts";
import { Guard } from "./overload/guard.ts";
import { LinksRelief } from "./overload/links-relief.ts";
import type { PlainLimits, PlainServerOptions } from "./plain-options.ts";
import type { ServedLinks } from "./served-links.ts";
import { serve } from "./serve.ts";
import type { SupervisorEvents } from "./supervisor-events.ts";
import type { SupervisorStats } from "./supervisor-stats.ts";

export type { AcceptOptions, SupervisorEvents, SupervisorState, SupervisorStats };

const EVENT_NAMES: ReadonlySet<string> = new Set<keyof SupervisorEvents>([
  "state",
  "handlerError",
  "error",
  "overload",
  "listener",
]);

/** The link of a server: with `protocol` one that can ask its client. */
type LinkOf<Protocol> = [Protocol] extends [never] ? Link : Protocol extends PlainProtocol ? PlainLink : Link;

/**
 * Owns a listener and its links: lets clients in, keeps their sessions, drains them. With `protocol` its clients are
 * not resplice, and keep no sessions.
 */
export class ServerSupervisor<Protocol extends PlainProtocol | undefined = undefined>
  extends CheckedEmitter<SupervisorEvents>
  implements AsyncDisposable
{
  readonly #options: ResolvedListening;
  #capacity: Capacity;
  readonly #clock = new SystemClock();
  readonly #served: ServedLinks;
  readonly #filter: ListenerFilter;
  readonly #listener: Listener;
  readonly #telemetry: Telemetry;
  readonly #guard: Guard;
  #state: SupervisorState = "created";
  readonly #closing: Once<CloseReport> = new Once();

  constructor(options: ServerSupervisorOptions | (PlainServerOptions & { protocol: Protocol })) {
    super(EVENT_NAMES);
    const { listening, capacity, timeouts, allowHalfOpen, open } = serve(options);
    this.#options = listening;
    this.#capacity = capacity;
    const source: SampleSource = {
      links: () => this.#served.linkStats(),
      counts: () => {
        const { turnedAway, ...counts } = this.#served.counts();
        return { ...counts, turnedAway: this.#served.refusals.turnedAway.total, turnedAwayBy: turnedAway };
      },
      levels: () => this.#levels(),
    };
    this.#telemetry = new Telemetry("server.metrics", listening, source, () => this.#clock.now());
    this.#served = open({
      clock: this.#clock,
      entropy: SYSTEM_ENTROPY,
      journal: this.#telemetry.journal,
      onHandlerFailed: (link, error) => this.emit("handlerError", { link, error }),
      hearsHandlerErrors: () => this.listenerCount("handlerError") > 0,
      onEnded: (link) => this.#telemetry.linkEnded(link),
      mayLinger: () => this.#lingering < MOST_LINGERING && DESCRIPTOR_RESERVE.isWhole,
    });
    observe(this, {
      kind: "server",
      telemetry: this.#telemetry,
      health: () => this.health(),
      links: () => this.#served.here(),
      resources: () => this.#guard.stats(),
      limits: () => this.#capacity.limits,
    });
    const { refusals } = this.#served;
    this.#filter = new ListenerFilter({
      access: listening.access,
      proxies: listening.proxies,
      headerMs: timeouts.handshakeMs,
      mostHeaders: capacity.limits.handshakes,
      clock: this.#clock,
      onRejected: (remoteAddress, reason, detail) => refusals.rejected(remoteAddress, reason, detail),
      onCrowdedOut: (remoteAddress) =>
        refusals.turnAway("handshakes", "too many PROXY headers awaited", remoteAddress, this.#clock.now()),
    });
    this.#listener = new Listener({
      tls: listening.tls,
      filter: this.#filter,
      tlsMs: timeouts.tlsMs,
      allowHalfOpen,
      accept: (connection) => this.#served.accept(connection),
      onTlsFailed: (remoteAddress, reason) => refusals.rejected(remoteAddress, "tls", reason),
      keeping: {
        clock: this.#clock,
        selfProbeMs: listening.selfProbeMs,
        onChange: (change) => this.#listenerChanged(change),
        onFailed: (error) => this.#listenerFailed(error),
        onShort: () => this.#guard.sampleNow(),
      },
    });
    this.#guard = this.#newGuard(listening);
  }

  #newGuard({ resources, dryRun }: ResolvedListening): Guard {
    const { journal } = this.#telemetry;
    const relief = new LinksRelief(this.#served, {
      lingering: () => this.#lingering,
      readLess: (isInForce) => {
        READING_LINE.readLess(this, isInForce);
        this.#clock.spreadLess(isInForce);
      },
      now: () => this.#clock.now(),
      random: () => SYSTEM_ENTROPY.random(),
    });
    const onReport = (report: OverloadReport): void => runContained(this.#clock, () => this.emit("overload", report));
    return new Guard({ resources, dryRun }, { relief, buffers: new Buffers(this.#served), journal, onReport });
  }

  /** Connections that are closed, and whose clients have still to read why. */
  get #lingering(): number {
    return this.#listener.streams - this.#served.connections;
  }

  /** There are clients from now on, or there will be. */
  #begin(): void {
    this.#telemetry.start();
    this.#guard.start();
  }

  /** What the server does: see the event 'state'. */ get state(): SupervisorState {
    return this.#state;
  }

  /** Links that can be sent on, for a broadcast: a link leaves the set when it ends or begins to drain. */
  get links(): ReadonlySet<LinkOf<Protocol>> {
    return this.#served.open as ReadonlySet<LinkOf<Protocol>>;
  }

  /**
   * Those of `links` whose `identity` this is, the oldest first, as they are now; none if there are none, or if there
   * is no `authenticate`. However many links there are, it costs no more than its answer. Throws INVALID_ARGUMENT.
   */
  linksOf(identity: string): Array<LinkOf<Protocol>> {
    if (typeof identity !== "string") throw new RespliceError("INVALID_ARGUMENT", "an identity is a string");
    return this.#served.openOf(identity) as Array<LinkOf<Protocol>>;
  }

  /**
   * Sets the handler, which runs once for each link, not for each connection. When an async handler returns its link is
   * closed, unless it has called onMessage() or duplex(): work that goes on (a timer that sends, answers that are not
   * ready) is announced with link.waitUntil(promise). If the handler throws or rejects, its link ends with
   * HANDLER_FAILED, and the client sees a lost session. To be called once, before listen() and accept(), else it throws
   * INVALID_STATE; INVALID_ARGUMENT for what is no function.
   */
  serve(handler: (link: LinkOf<Protocol>) => void | Promise<void>): void {
    if (typeof handler !== "function") throw new RespliceError("INVALID_ARGUMENT", "serve() needs a function");
    if (this.#served.handler !== undefined) throw new RespliceError("INVALID_STATE", "serve() was called before");
    if (this.#state !== "created") throw new RespliceError("INVALID_STATE", "serve() comes before listen()");
    this.#served.handler = handler as (link: Link) => void | Promise<void>;
  }

  /**
   * Resolves when clients can connect, at all addresses. Answers the first of them, and the list of all; of a Unix
   * socket `host` is the path, and `port` is 0. Rejects with LISTEN_FAILED, whose message says what to do, and then listens
   * nowhere; INVALID_STATE; INVALID_OPTION without `port`, `path` and `addresses`; ABORTED, INVALID_ARGUMENT.
   */
  async listen(options: WaitOptions = {}): Promise<Listening> {
    checkWait("listen(), whose port is an option of the constructor,", options);
    if (this.#state !== "created") throw new RespliceError("INVALID_STATE", `listen() in state ${this.#state}`);
    if (this.#served.handler === undefined) throw new RespliceError("INVALID_STATE", "serve() comes before listen()");
    const { signal } = options;
    const isAborted = (): boolean => signal?.aborted === true;
    if (signal !== undefined && isAborted()) throw aborted(signal);
    const { listen: where } = this.#options;
    if (where === undefined) throw invalidOption("port", undefined, "a port, a path or addresses, for listen()");
    this.#to("bind", "listen() was called");
    const starting = this.#start(where, signal);
    try {
      const listening = await unlessAborted(starting, signal);
      if (this.state !== "bound") throw new RespliceError("INVALID_STATE", "closed while it began to listen");
      this.#to("listen", "listening");
      this.#begin();
      this.#recordCapacity(listening.addresses);
      return listening;
    } catch (error) {
      const stop = (): Promise<void> => this.#stopForOthers();
      const stopped = stop();
      // What was aborted may go on for a while, and nobody waits for it.
      if (isAborted()) void starting.then(stop, stop);
      else await stopped;
      this.#to("listen-failed", "listen failed");
      throw error;
    }
  }

  async #start(where: readonly ListenAddress[], signal: AbortSignal | undefined): Promise<Listening> {
    const { forwarding, routed } = this.#served;
    // First, so that a session is found by other servers as soon as there is one.
    await forwarding?.start((socket) => this.#listener.track(socket));
    if (signal?.aborted === true) throw aborted(signal);
    if (routed !== undefined) return routed.start((socket) => this.#listener.take(socket));
    return this.#listener.acceptors.listen(where, signal);
  }

  /** No connection comes any more from a router, nor from other servers. */
  async #stopForOthers(): Promise<void> {
    await this.#served.routed?.stop();
    await this.#served.forwarding?.stop();
  }

  /**
   * Serves a stream that was connected elsewhere (a WebSocket, an SSH channel, the other end of a client's `connect`)
   * as if the listener had accepted it, except that `tls` and `proxyProtocol` are not for it. Nobody else may read,
   * write or close it any more. The stream may come before listen(), and without. While the server drains, a durable
   * one lets its clients come back and finish, and a plain one closes the stream; later it is closed. Throws
   * INVALID_STATE before serve(), INVALID_OPTION, INVALID_ARGUMENT for what is no stream of bytes that is open in both
   * directions, and then leaves it alone; the same for a stream whose resume() throws, which is destroyed.
   */
  accept(stream: Duplex, options: AcceptOptions = {}): void {
    if (this.#served.handler === undefined) throw new RespliceError("INVALID_STATE", "serve() comes before accept()");
    const problem = unfitness(stream);
    if (problem !== undefined) throw new RespliceError("INVALID_ARGUMENT", `accept() was given ${problem}`);
    const remoteAddress = acceptedAddress(options);
    if (this.#state === "closed") return discard(stream);
    this.#begin();
    this.#listener.accept(stream, remoteAddress);
  }

  /** `addresses`: the server has begun to listen there; undefined: its limits were changed. */
  #recordCapacity(addresses?: readonly BoundAddress[]): void {
    const { logger, machine, proxies } = this.#options;
    // Only the log tells of where a server listens: without one nothing is read from /proc then.
    if (logger === undefined && addresses !== undefined) return;
    const terms = { machine, hasProxies: proxies !== undefined, forwards: this.#served.forwarding !== undefined };
    recordCapacity(this.#telemetry.journal, this.#capacity, terms, addresses);
  }

  #listenerChanged(change: ListenerChange): void {
    this.#telemetry.journal.record({ event: "server.listener", ...change });
    runContained(this.#clock, () => this.emit("listener", change));
  }

  #listenerFailed(error: RespliceError): void {
    this.#telemetry.journal.record({ event: "server.listener-failed", code: error.code, message: error.message });
    runContained(this.#clock, () => this.emit("error", error));
  }

  /**
   * Sets renewed certificates, for new connections. Unlike with tls.Server, options that are not given stay as they are
   * (a `ca` for clients, say); a new key comes with its passphrase. If it throws INVALID_OPTION, nothing has changed.
   */
  setSecureContext(options: SecureContextOptions): void {
    this.#listener.setSecureContext(options);
  }

  /**
   * Replaces the lists of who may connect; a list that is not given stays. For new connections: those that are open go
   * on. To allow everyone again, give `allow: ["0.0.0.0/0", "::/0", "unix"]`. If it throws INVALID_OPTION, nothing has
   * changed.
   */
  setAccess(options: AccessOptions): void {
    this.#options.access.set(options);
  }

  /**
   * Changes limits while the server runs; a limit that is not given stays, and `rates` is replaced as a whole. Defaults
   * follow what they are made of: `handshakes`, say, a lower `connections`. For clients that come from now on: a lower
   * cap turns nobody out who is in, but a client that has lost its connection comes back as to a server that is full.
   * Budgets a second and rates keep their fill; rates are also for links that are open. With less `bufferBytes` links
   * give memory back as their consumers accept. If it throws INVALID_OPTION, nothing has changed.
   */
  setLimits(limits: Protocol extends PlainProtocol ? PlainLimits : Limits): void {
    this.#capacity = this.#served.setLimits(limits);
    this.#filter.setMostHeaders(this.#capacity.limits.handshakes);
    if (this.#state !== "closed") this.#recordCapacity();
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  /**
   * 'degraded': a limit has turned clients away in the last 10 s, a resource is overloaded, or an address is lost.
   * 'down': not listening at any address, or draining. A server that listens nowhere, and only accepts streams, can do
   * so from serve() on.
   */
  health(): Health {
    const isOpen = this.#options.listen === undefined && this.#served.handler !== undefined;
    if (this.#state === "listening" || (this.#state === "created" && isOpen)) {
      const limits = this.#served.refusals.turnedAway.reasons(this.#clock.now());
      const { acceptors } = this.#listener;
      const reasons = [...acceptors.reasons(), ...limits, ...this.#guard.reasons()];
      if (acceptors.areAllLost) return { status: "down", reasons };
      return { status: reasons.length === 0 ? "healthy" : "degraded", reasons };
    }
    return { status: "down", reasons: [`the server is ${this.#state}`] };
  }

  /** The numbers of the server, as they are now. */ stats(): SupervisorStats {
    const { handshaking: _, ...stats } = this.#served.stats();
    const { lines, sinceBeginning } = this.#telemetry;
    const { connections: open, handshaking } = this.#levels();
    const connections = { open, handshaking };
    const listening = this.#listener.acceptors.stats();
    return {
      state: this.#state,
      listening,
      ...stats,
      ...trafficOf(sinceBeginning.totals),
      ...sinceBeginning,
      resources: this.#guard.stats(),
      lines,
      connections,
    };
  }

  #levels() {
    const { handshaking, ...levels } = this.#served.levels();
    const { waiting } = this.#filter;
    return { connections: this.#served.connections + waiting, handshaking: handshaking + waiting, ...levels };
  }

  #to(input: SupervisorInput, reason: string): void {
    const to = nextSupervisorState(this.#state, input);
    if (to === undefined) return;
    const change = { from: this.#state, to, reason };
    this.#state = to;
    this.#telemetry.journal.record({ event: "server.state", ...change });
    runContained(this.#clock, () => this.emit("state", change));
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Ends the server and, unlike a net.Server, its links. health() is 'down' at once. After `readyDelayMs` no more links
   * are opened, and clients are asked, one after the other in the first half of the time that is left, to go on at
   * another server; they do so when the handler has answered the messages that it was handed and everything is
   * accepted, with nothing in doubt. A link in mode "bytes" cannot move, and may come to its own end. At the deadline
   * (`deadlineMs`, default 5,000, counted from the call) or when `signal` is aborted, the remaining links are cut off:
   * their clients see a lost session, or an aborted stream. Clients that are not resplice cannot be asked: the handler
   * may answer the messages that have arrived, then their connections are closed. Never rejects; called again: the same
   * promise. Throws INVALID_OPTION.
   */
  close(options: DrainOptions = {}): Promise<CloseReport> {
    const resolved = resolveDrain(options);
    return this.#closing.run(() => this.#close(resolved));
  }

  async #close(options: ResolvedDrain): Promise<CloseReport> {
    const isOpen = this.#state === "listening" || this.#state === "bound";
    const listener = isOpen ? this.#listener.acceptors : undefined;
    this.#served.routed?.drain();
    this.#to("drain", "close() was called");
    const reports = await drain({ clock: this.#clock, listener, links: this.#served }, options);
    await this.#served.routed?.stop();
    this.#guard.close();
    this.#telemetry.stop();
    this.#listener.destroyAll();
    this.#served.stop();
    await this.#served.forwarding?.stop();
    this.#to("end", "closed");
    this.#telemetry.close();
    return closeReport(reports);
  }

  /** close() with its defaults: for `await using`. */ async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
