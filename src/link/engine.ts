/** The machinery of one link, the same at both ends, behind the object that the application holds. */
import type { LinkState } from "../core/states.ts";
import { checkWait } from "./check.ts";
import type { Driver } from "./driver.ts";
import { outcomeError, type RespliceError } from "./errors.ts";
import { Incoming } from "./incoming.ts";
import { Closing } from "./closing.ts";
import { EndResult } from "./end-result.ts";
import { Life } from "./life.ts";
import type { ResolvedLinkOptions } from "./options.ts";
import { Outgoing } from "./outgoing.ts";
import type { LinkOwner } from "./owner.ts";
import type { LinkEvent, Protocol } from "./protocol.ts";
import { StallWatch } from "./stall.ts";
import { linkStats } from "./stats.ts";
import { LinkStream } from "./stream.ts";
import type { CloseOptions, Link, LinkReport, LinkStats, StateChange, WaitOptions } from "./types.ts";
import { UndeliveredReports } from "./undelivered-reports.ts";
import { Waits } from "./waits.ts";

export class LinkEngine {
  readonly id: string;
  readonly protocol: Protocol;
  readonly driver: Driver;
  readonly owner: LinkOwner;
  readonly outgoing: Outgoing;
  readonly incoming: Incoming;
  /** The object that the application holds, and listens to. Its constructor sets this. */
  link!: Link;
  readonly #options: ResolvedLinkOptions;
  readonly #life: Life;
  readonly endResult: EndResult = new EndResult();
  // These objects are made when they are first needed: most links never need them.
  #reports: UndeliveredReports | undefined;
  #waitsForConnected: Waits | undefined;
  #waitsForSent: Waits | undefined;
  #stream: LinkStream | undefined;
  #closing: Closing | undefined;
  #stall: StallWatch | undefined;
  #endEmitted = false;
  #attempt = 0;

  constructor(id: string, driver: Driver, options: ResolvedLinkOptions, owner: LinkOwner) {
    this.id = id;
    this.driver = driver;
    this.protocol = driver.protocol;
    this.owner = owner;
    this.#options = options;
    this.#life = new Life(driver.clock, this);
    this.outgoing = new Outgoing(this.protocol, options.queue, driver, this);
    this.incoming = new Incoming(this.protocol, options.manualAcceptance !== undefined, driver, this);
    driver.hooks = this;
  }

  get closed(): Promise<LinkReport> {
    return this.endResult.closed;
  }

  get state(): LinkState {
    return this.#life.state;
  }

  /** The stream of the link, which is made as `kind` by the first call. */
  stream(kind: "duplex" | "socket"): LinkStream {
    if (this.#stream === undefined) {
      this.#stream = new LinkStream(kind, this, this.#options);
      this.#stream.progress();
    }
    return this.#stream;
  }

  // ── the connection ──────────────────────────────────────────────────────────────────────────────────────────────

  async connected(options?: WaitOptions): Promise<void> {
    checkWait("connected()", options);
    if (this.isOver) throw this.failure ?? this.endedError();
    if (this.protocol.adopted !== undefined) return;
    await (this.#waitsForConnected ??= new Waits()).wait(options?.signal);
  }

  /** close() dials, to deliver what was taken: from then on the link is not held. */
  hold(): void {
    if (!this.isOver && this.#closing?.isBegun !== true) this.owner.hold();
  }

  get wasConnected(): boolean {
    return this.#life.wasConnected;
  }

  /** Resolves when the peer has accepted all of our direction. Rejects if the peer stopped reading before that. */
  async sent(): Promise<void> {
    if (!this.protocol.outputDone && !this.isOver) await (this.#waitsForSent ??= new Waits()).wait(undefined);
    const { outputDone, owedBytes } = this.protocol;
    if (!outputDone || owedBytes > 0) throw this.endedError();
  }

  // ── ending ──────────────────────────────────────────────────────────────────────────────────────────────────────

  end(): void {
    // Bytes that still wait in the stream were written before end() was called, so the stream ends the direction.
    if (this.#stream !== undefined) this.#stream.end();
    else this.endSending();
  }

  /** Ends our direction: everything that was written to the stream has been taken. */
  endSending(): void {
    this.endOutput();
    this.driver.changed();
  }

  endOutput(): void {
    this.outgoing.end();
  }

  close(options: CloseOptions): Promise<LinkReport> {
    this.owner.onCloseCalled();
    if (this.#stream !== undefined) return this.#finish(options);
    const closing = this.#getClosing();
    const isFirst = !closing.isBegun;
    this.incoming.acceptNow();
    closing.close(options, this.incoming.hasConsumer);
    if (isFirst && !this.isOver) this.#drainNow();
    return closing.left;
  }

  /** Closes the link for its manager or server. Only the application can end a byte stream, so that is awaited. */
  closeByOwner(options: CloseOptions): Promise<LinkReport> {
    return this.#options.mode === "bytes" ? this.#finish(options) : this.close(options);
  }

  #finish(options: CloseOptions): Promise<LinkReport> {
    const closing = this.#getClosing();
    const isFirst = closing.finish(options);
    if (isFirst && !this.isOver) this.#drainNow();
    return closing.left;
  }

  /** The application has destroyed its socket: what the link has taken goes on to the peer, and nothing else is read. */
  letGo(): void {
    if (this.isOver) return;
    this.#getClosing().letGo();
    this.#drainNow("the socket was destroyed");
  }

  #drainNow(reason = "close() was called"): void {
    this.#life.to("drain", { reason });
    if (!this.owner.endUnopened()) this.owner.retryNow();
    this.driver.run();
  }

  /** The server goes away, and has told the client to go on elsewhere. */
  leave(options: CloseOptions): void {
    this.#getClosing().leave(options);
    this.driver.run();
  }

  /**
   * The handler of serve() has returned. The link goes on if onMessage() or a stream reads it; else it ends when its
   * client ends.
   */
  handlerReturned(): void {
    if (!this.goesOnAlone) this.#getClosing().endsWithInput = true;
    this.driver.run();
  }

  #getClosing(): Closing {
    return (this.#closing ??= new Closing(this.driver, this));
  }

  abort(code: string): void {
    this.incoming.acceptNow();
    this.#reset("aborted", code);
  }

  /** The handler of this link threw: the message that it was handed is not accepted, and the peer is told. */
  failHandler(error: unknown): void {
    const isOver = this.protocol.ended || this.failure !== undefined;
    if (!(isOver && this.endResult.isOwn(error))) this.#life.later(() => this.#tellOfHandler(error));
    this.endResult.handlerError = error;
    this.#reset("handler-failed", "");
  }

  #tellOfHandler(error: unknown): void {
    const { journal, ids, hearsHandlerErrors } = this.owner;
    const isHeard = hearsHandlerErrors || this.link.listenerCount("error") > 0;
    journal.record({ event: "link.handler-failed", ids, thrown: error, isHeard });
    this.owner.onHandlerFailed(error);
  }

  #reset(code: "aborted" | "handler-failed", reason: string): void {
    this.protocol.reset(code, reason, code, this.driver.clock.now());
    this.outgoing.sendingEnded(); // so that a send before this step is complete is refused, too
    this.driver.run();
  }

  /** Sets the error with which the link will end, if it has none yet. */
  fail(error: RespliceError): void {
    this.endResult.failure ??= error;
  }

  /** The link is read by a handler or as a stream: it goes on after the handler of serve() has returned. */
  get goesOnAlone(): boolean {
    return this.incoming.hasHandler || this.#stream !== undefined;
  }

  /** The error for calls that come after the end. */
  endedError(): RespliceError {
    return this.endResult.endedError(this.protocol);
  }

  // ── called by the parts of the link ─────────────────────────────────────────────────────────────────────────────

  get isRoomAwaited(): boolean {
    return this.outgoing.isAwaited || this.#stream?.isHeld === true;
  }

  get hasHandedEnough(): boolean {
    return this.incoming.hasHandedEnough;
  }

  onStepComplete(): void {
    this.#life.emitAll();
    this.owner.onStepComplete();
  }

  onChange(change: StateChange): void {
    const { journal, ids } = this.owner;
    this.owner.onState(change);
    journal.record({ event: "link.state", ids, change });
    this.#life.later(() => this.link.emit("state", change));
  }

  onStalled(unacceptedBytes: number): void {
    this.#life.emitNow(() => this.link.emit("stalled", { unacceptedBytes }));
  }

  get isOver(): boolean {
    return this.state === "closed";
  }

  get failure(): RespliceError | undefined {
    return this.endResult.failure;
  }

  get isAborted(): boolean {
    return this.endResult.isAborted;
  }

  // ── events of the protocol ──────────────────────────────────────────────────────────────────────────────────────

  onEvent(event: LinkEvent): void {
    this.owner.onEvent(event);
    switch (event.type) {
      case "connected": {
        const { journal, ids } = this.owner;
        const recoveryMs = this.#life.connectionAdopted();
        if (recoveryMs !== undefined) journal.record({ event: "link.recovered", ids, recoveryMs });
        this.#life.to("adopted", { reason: event.reason, attempt: this.#attempt, session: event.session });
        this.#waitsForConnected?.resolve();
        this.#waitsForConnected = undefined;
        this.#life.later(() => this.#stream?.connected());
        break;
      }
      case "disconnected":
        if (this.protocol.isAtRest === true) this.#life.to("unused", { reason: event.reason });
        else this.#life.connectionLost();
        break;
      case "suspect":
        this.#life.to("suspected", { reason: event.reason });
        break;
      case "recovered":
        this.#life.to("recovered", { reason: "answered", attempt: this.#attempt, session: "resumed" });
        break;
      case "answered":
        this.outgoing.answered(event.ticket, event.parts);
        break;
      case "leaving":
        this.#life.to("drain", { reason: event.reason ?? "going-away" });
        if (event.isLast === true) this.outgoing.end();
        else if (this.protocol.sendingEnded) this.outgoing.sendingEnded();
        break;
      case "replaced":
        // After close() the state stays "draining" until the link is closed. Without a message it needs no other server.
        if (this.#closing?.isBegun !== true) this.#life.to("moved", { reason: event.reason, attempt: 1 });
        this.reports.replaced(event, this.outgoing);
        if (this.#closing?.isBegun === true && !this.outgoing.isAwaited) this.owner.endUnopened();
        break;
      case "connection-lost":
        this.reports.connectionLost(event, this.outgoing);
        break;
      case "severed":
        this.#onSevered(event);
        break;
      case "ended":
        this.#onEnded(event);
        break;
      default:
      // The owner has handled the others.
    }
  }

  /** Outside any step: the client's dial loop begins an attempt. */
  dialling(attempt: number, reason: string): void {
    this.#attempt = attempt;
    this.#life.to("dial", { reason, attempt });
    this.#life.emitAll();
  }

  /** Within a step: there is no connection. The next attempt begins after `nextDelayMs`; 0 at a server, which waits. */
  waiting(attempt: number, nextDelayMs: number, reason: string, error: RespliceError | undefined): void {
    const change = { reason, attempt, nextDelayMs };
    this.#life.to("disconnected", error === undefined ? change : { ...change, error });
  }

  /** As `waiting()`, outside any step: the dial loop waits. */
  pausing(attempt: number, nextDelayMs: number, reason: string, error: RespliceError | undefined): void {
    this.waiting(attempt, nextDelayMs, reason, error);
    this.#life.emitAll();
  }

  get reports(): UndeliveredReports {
    return (this.#reports ??= new UndeliveredReports(this.#life, this));
  }

  /** Nothing is sent any more, and the link ends when its consumer has everything that has arrived. */
  #onSevered(event: Extract<LinkEvent, { type: "severed" }>): void {
    this.endResult.failure ??= outcomeError(event.outcome, event.detail, "");
    this.reports.severed(event, this.outgoing, this.#whyOver);
    if (!this.protocol.ended) this.#life.to("drain", { reason: event.reason });
    this.#life.later(() => this.#rejectWaits());
  }

  /** The error for calls that wait for what will not come. */
  get #whyOver(): RespliceError {
    return this.failure ?? this.endedError();
  }

  #rejectWaits(): void {
    this.#waitsForConnected?.reject(this.#whyOver);
    this.#waitsForSent?.reject(this.#whyOver);
  }

  #onEnded(event: Extract<LinkEvent, { type: "ended" }>): void {
    const { outcome, detail, peerCode, untracked } = event;
    this.endResult.failure ??= outcomeError(outcome, detail, peerCode, this.endResult.handlerError);
    this.endResult.isAborted = outcome === "aborted";
    const error = this.failure;
    const lost = this.reports.lose(event, this.outgoing, this.#whyOver);
    this.#life.to("end", { reason: outcome, ...(error && { error }) });
    this.#life.later(() => {
      this.#rejectWaits();
      this.#stall?.stop();
      this.incoming.progress();
      this.#stream?.progress();
      this.owner.onEnded();
      const report = this.reports.atEnd(lost, untracked, outcome === "closed");
      this.endResult.close(error === undefined ? report : { ...report, error, ...this.#closing?.cutOff });
    });
    if (error !== undefined) this.#life.later(() => this.link.emit("error", error));
  }

  onProgress(): void {
    const { protocol } = this;
    this.outgoing.progress();
    this.incoming.progress();
    this.#stream?.progress();
    if (protocol.outputDone) {
      // sent() then checks whether everything was accepted.
      this.#waitsForSent?.resolve();
      if (protocol.peerStopped) this.outgoing.sendingEnded();
      this.#closing?.outputDone();
    }
    if (protocol.isFull) (this.#stall ??= new StallWatch(this.driver, this)).look();
    if (protocol.inputEnded) this.#onInputEnded();
  }

  #onInputEnded(): void {
    if (!this.#endEmitted) {
      this.#endEmitted = true;
      this.#life.later(() => this.link.emit("end"));
    }
    const { protocol } = this;
    if (!protocol.inputAccepted || protocol.outputEnded) return;
    // A stream ends its direction itself, when its reader has come to the end. A byte stream that nobody has read yet
    // waits.
    if (this.#stream !== undefined || (protocol.mode === "bytes" && !this.incoming.wasRead)) return;
    // A client that goes on elsewhere waits until the handler has answered. Otherwise sends that wait for room go out
    // first.
    const isAnswering = protocol.inputMoves ? this.owner.isServing : this.outgoing.isAwaited;
    const goesOn = this.#options.allowHalfOpen || isAnswering || this.owner.isAtWork;
    if (!goesOn || this.#closing?.endsWithInput === true) this.endOutput();
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  stats(): LinkStats {
    return linkStats(this.protocol, this.#life, this.outgoing, this.incoming, this.#reports?.book);
  }
}
