/**
 * The dial loop of one link: p-retry around single attempts, with delays of our own between them. Dials standbys, too.
 */
import pRetry from "p-retry";
import { Backoff } from "../core/backoff.ts";
import { ASKED_AWAY, type Outcome } from "../core/session/link-events.ts";
import type { Fault } from "../core/wire/faults.ts";
import { MOST_MS } from "../link/check.ts";
import { attemptError, outcomeError, RespliceError } from "../link/errors.ts";
import type { LinkEngine } from "../link/engine.ts";
import type { Clock, Connection, Timer } from "../link/ports.ts";
import type { ProtocolEvent } from "../link/protocol.ts";
import { printable } from "../telemetry/printable.ts";
import { Attempt } from "./attempt.ts";
import { Connector, type DialledLink } from "./connector.ts";
import { abortableWait } from "../link/waits.ts";
import { asError, type Circumstances, explained } from "./failure.ts";
import type { Destination } from "./gate.ts";
import { isRetried } from "./hooks.ts";
import { StandbyDial } from "./standby-dial.ts";
import { destinationOf } from "./targets.ts";

export class Dialer {
  readonly #dialled: DialledLink;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #connector: Connector;
  #engine!: LinkEngine;
  /** Ends the dial loop; undefined while there is none. */
  #stop: AbortController | undefined;
  /** The attempt that is under way. */
  #attempt: Attempt | undefined;
  /** The newest dial of a standby; kept when the dial is over. */
  #standby: StandbyDial | undefined;
  /** Attempts since the link was last connected. */
  #attempts = 0;
  /** Those that the present connection took. */
  #attemptsBefore = 0;
  #everConnected = false;
  #lostMs: number;
  /** Doubles with each attempt in a row that timed out: the next one is given more time. */
  #patience = 1;
  #why = "opened";
  #lastError: RespliceError | undefined;
  /** Why the connection was lost, where an error says it: then the next attempt waits because of that. */
  #loss: RespliceError | undefined;
  /** Of the connection in use, if it is that of a plain link: what it brings may be no message. */
  #circumstances: Circumstances | undefined;
  #wake: (() => void) | undefined;
  /** Of the wait for the next attempt, and whether such a timer keeps the process alive. */
  #sleeping: Timer | undefined;
  #holdsProcess = true;
  /** Since when no dial may begin; undefined: the link is not held. */
  #heldMs: number | undefined;

  constructor(dialled: DialledLink) {
    const { host, options } = dialled;
    this.#dialled = dialled;
    this.#clock = host.clock;
    this.#lostMs = this.#clock.now();
    this.#backoff = new Backoff(options.reconnect, this.#lostMs);
    this.#connector = new Connector(dialled);
  }

  get destination(): Destination {
    return destinationOf(this.#dialled.options.target);
  }

  start(engine: LinkEngine): void {
    this.#engine = engine;
    // Deferred, so that the caller of open() can add its listeners before.
    this.#clock.defer((dialer) => dialer.check(), this);
  }

  /** As `start()`, but the first attempt has its connection already. */
  startOn(engine: LinkEngine, connection: Connection): void {
    this.#engine = engine;
    this.#attempts = 1;
    engine.dialling(this.#attempts, this.#why);
    const { driver, host } = this.#dialled;
    this.#connector.introduce(host.nextId(), "primary", { connection, credentials: Buffer.alloc(0) });
    driver.run();
  }

  /** Dials if the core wants a connection or a standby. */
  check(): void {
    const { core } = this.#dialled;
    if (core.gone) return this.#end();
    if (core.wantsDial && this.#stop === undefined) void this.#loop();
    if (core.wantsStandby && this.#standby?.isDialling !== true && this.#heldMs === undefined) this.#standBy();
  }

  #end(): void {
    const ended = linkEnded();
    this.#stop?.abort(ended);
    this.#attempt?.abort(ended);
    this.#standby?.abort(ended);
  }

  /** Takes back the dial that is under way, and begins none until `retryNow()`. A link that has ended is not held. */
  hold(): void {
    if (this.#heldMs !== undefined) return;
    this.#heldMs = this.#clock.now();
    this.#attempt?.abort(HELD);
    // A standby whose connection the core has goes on.
    if (this.#standby?.isDialling === true) this.#standby.abort(HELD);
  }

  #outageBegins(): void {
    this.#lostMs = this.#clock.now();
    this.#backoff.restart(this.#lostMs);
  }

  /** Ends a hold, too. */
  retryNow(): void {
    const nowMs = this.#clock.now();
    this.#backoff.restart(nowMs);
    if (this.#heldMs !== undefined) {
      // The time without a connection for which the link was held does not count for maxElapsedMs.
      this.#lostMs += nowMs - Math.max(this.#heldMs, this.#lostMs);
      this.#heldMs = undefined;
      this.check();
    }
    this.#wake?.();
  }

  /** An attempt that is under way keeps the process alive in any case, as that of a net.Socket does. */
  holdProcess(isHeld: boolean): void {
    this.#holdsProcess = isHeld;
    this.#sleeping?.holdProcess(isHeld);
  }

  onEvent(event: ProtocolEvent): void {
    const { core } = this.#dialled;
    switch (event.type) {
      case "connected":
        this.#everConnected = true;
        this.#attemptsBefore = this.#attempts;
        this.#attempts = 0;
        this.#patience = 1;
        this.#lastError = undefined;
        this.#backoff.onConnected(this.#clock.now());
        this.#onConnected(event.channel);
        break;
      case "attempt-failed":
        if (this.#attempt?.id === event.channel) this.#attempt.failed(attemptError(event));
        break;
      case "disconnected":
        this.#lost(event.reason, event.wasUseless);
        this.#onFault(event.fault, event.wasUseless);
        if (event.restsAddress === true) this.#connector.moved();
        // A dial reports the waiting itself. Without one a standby may still take over, or nothing needs a connection.
        if (!core.wantsDial && core.isAtRest !== true) this.#engine.waiting(1, 0, event.reason, undefined);
        break;
      case "shed":
        this.#onShed(event.retryAfterMs);
        break;
      case "replaced":
        if (event.reason !== "moved") break;
        this.#lost(event.reason);
        // Not earlier: until the session is replaced, only that server can bring it to its end.
        this.#connector.moved();
        break;
      case "ended":
        this.#onEnded(event);
        // The peer is to be told.
        if (this.#heldMs !== undefined) this.retryNow();
        break;
      case "gone":
        this.#attempt?.failed(linkEnded());
        break;
      default:
        break;
    }
  }

  #onShed(retryAfterMs: number): void {
    const { entropy } = this.#dialled.host;
    this.#why = ASKED_AWAY;
    this.#loss = new RespliceError("OVERLOADED", "the server asked to come back later", { retryAfterMs });
    this.#lastError = this.#loss;
    this.#backoff.onShed(retryAfterMs, this.#clock.now(), entropy.random());
  }

  /** The server has refused the link for good: the error says which server. */
  #onEnded({ outcome, detail, peerCode }: Extract<ProtocolEvent, { type: "ended" }>): void {
    const error = REFUSED.has(outcome) ? outcomeError(outcome, detail, peerCode) : undefined;
    if (error === undefined || this.#attempt === undefined) return;
    this.#engine.fail(explained(error, this.#attempt.circumstances, this.#clock.wallMs()));
  }

  /** A connection of a plain link is in use once it is logged in. That it brings no messages shows only then. */
  #onFault(problem: Fault | undefined, wasUseless = false): void {
    const circumstances = this.#circumstances;
    this.#circumstances = undefined;
    if (problem === undefined || !wasUseless || circumstances === undefined) return;
    const error = new RespliceError("CONNECT_FAILED", `what comes is no message: ${printable(problem.detail)}`);
    this.#loss = explained(error, circumstances, this.#clock.wallMs());
    this.#lastError = this.#loss;
  }

  #onConnected(channel: number): void {
    const made = [this.#attempt, this.#standby].find((dial) => dial?.id === channel);
    if (!this.#dialled.core.sessionKnown) this.#circumstances = this.#attempt?.circumstances;
    this.#connector.connected(made?.place);
    made?.adopted();
  }

  /** `wasUseless`: the connection counts as an attempt that failed, unless it has lasted for long. */
  #lost(reason: string, wasUseless = false): void {
    const nowMs = this.#clock.now();
    this.#why = reason;
    if (wasUseless && this.#backoff.onUseless(nowMs)) {
      this.#attempts = this.#attemptsBefore;
      return;
    }
    this.#lostMs = nowMs;
    this.#backoff.onLost(nowMs);
  }

  // ── to speak for the session ────────────────────────────────────────────────────────────────────────────────────

  async #loop(): Promise<void> {
    const { core } = this.#dialled;
    const { signal } = (this.#stop = new AbortController());
    try {
      const isFresh = core.dialsAtOnce === true;
      // The time in which no connection was needed is no outage.
      if (isFresh) this.#outageBegins();
      const waits = this.#everConnected && !isFresh;
      if (waits || this.#heldMs !== undefined) await this.#pause(undefined, signal);
      // The delay between attempts is slept in shouldRetry: p-retry's own has no jitter at its maximum.
      await pRetry(() => this.#dial(signal), {
        retries: Infinity,
        minTimeout: 0,
        signal,
        shouldRetry: async ({ error }) => {
          await this.#pause(error, signal);
          return core.wantsDial;
        },
      });
    } catch (error) {
      if (!signal.aborted && core.wantsDial) this.#giveUp(error);
    } finally {
      this.#stop = undefined;
      this.check();
    }
  }

  /** Waits as long as the backoff says. Throws when there is to be no further attempt. */
  async #pause(failure: unknown, signal: AbortSignal): Promise<void> {
    const { core, host, options } = this.#dialled;
    const { maxAttempts, maxElapsedMs, shouldRetry } = options.reconnect;
    const nowMs = this.#clock.now();
    const error = failure === undefined || failure === HELD ? undefined : asError(failure);
    if (failure === HELD) this.#attempts--;
    if (error !== undefined) {
      this.#lastError = error;
      this.#backoff.onFailed();
      if (error.code === "TIMED_OUT") this.#patience *= 2;
      if (!isRetried(error, shouldRetry, this.#engine.id, host.journal)) throw error;
      if (!this.#everConnected && shouldRetry === undefined) this.#tellUnheard(error, nowMs);
    }
    if (!core.wantsDial) return;
    const isHeld = this.#heldMs !== undefined;
    const delayMs = isHeld ? Infinity : this.#backoff.delayMs(error?.retryAfterMs ?? 0, nowMs, host.entropy.random());
    if (this.#attempts >= maxAttempts || (!isHeld && nowMs + delayMs - this.#lostMs > maxElapsedMs)) {
      throw gaveUp(this.#attempts, this.#lastError);
    }
    const reason = failure === HELD ? "held" : (error?.code ?? this.#why);
    this.#engine.pausing(this.#attempts + 1, delayMs, reason, error ?? this.#loss);
    // A listener that heard of the hold may have ended it.
    if (!isHeld || this.#heldMs !== undefined) await this.#sleep(delayMs, signal);
  }

  #tellUnheard(error: RespliceError, nowMs: number): void {
    const { link } = this.#engine;
    const forMs = nowMs - this.#lostMs;
    this.#dialled.host.unheard?.failed({ link, forMs, attempts: this.#attempts, error });
  }

  /** While the link is held the time goes on, and the process stays alive unless `holdProcess(false)` was called. */
  async #sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    // A listener may have ended the link when it heard of the pause.
    signal.throwIfAborted();
    const wait = abortableWait<void>(signal, () => signal.reason as Error);
    const wakeIn = (ms: number): void => timer.set(this.#clock.now() + Math.min(ms, MOST_MS));
    const timer: Timer = this.#clock.timer(() => {
      if (this.#heldMs === undefined) wait.resolve();
      else wakeIn(MOST_MS);
    });
    timer.holdProcess(this.#holdsProcess);
    this.#sleeping = timer;
    wakeIn(delayMs);
    this.#wake = wait.resolve;
    try {
      await wait.promise;
    } finally {
      timer.clear();
      this.#sleeping = undefined;
      this.#wake = undefined;
    }
  }

  async #dial(signal: AbortSignal): Promise<void> {
    this.#attempts++;
    this.#loss = undefined;
    this.#engine.dialling(this.#attempts, this.#why);
    // A listener may have ended the link, or held it, when it heard of the attempt.
    signal.throwIfAborted();
    if (this.#heldMs !== undefined) throw HELD;
    const attempt = new Attempt(this.#dialled, this.#connector, { number: this.#attempts, patience: this.#patience });
    this.#attempt = attempt;
    try {
      await attempt.run();
    } finally {
      this.#attempt = undefined;
    }
  }

  #giveUp(failure: unknown): void {
    const { core, driver } = this.#dialled;
    this.#engine.fail(asError(failure));
    core.endUnreachable();
    driver.run();
  }

  // ── to stand by ─────────────────────────────────────────────────────────────────────────────────────────────────

  #standBy(): void {
    const { core, driver, host } = this.#dialled;
    const leave = host.gate.tryStandby();
    if (leave === undefined) {
      core.standbyDialFailed(this.#clock.now(), { timedOut: false });
      // The core's timer starts the next try, and only a step of the driver sets that timer.
      driver.changed();
      return;
    }
    this.#standby?.forget();
    this.#standby = new StandbyDial(this.#dialled, this.#connector, leave);
    void this.#standby.run();
  }
}

const REFUSED: ReadonlySet<Outcome> = new Set<Outcome>([
  "authentication-refused",
  "mismatch",
  "session-lost",
  "taken-over",
]);

/** An attempt that was taken back, and has not failed. */
const HELD = new RespliceError("ABORTED", "the link is held");

/** The last failure is in the text, too: a log line or a test's output may show no causes. */
function gaveUp(attempts: number, last: RespliceError | undefined): RespliceError {
  const text = `gave up after ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`;
  if (last === undefined) return new RespliceError("GAVE_UP", text);
  return new RespliceError("GAVE_UP", `${text}: ${last.code}: ${last.message}`, { cause: last });
}

function linkEnded(): RespliceError {
  return new RespliceError("LINK_ENDED", "the link has ended");
}
