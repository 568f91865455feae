/** An application at one end of a link: it sends numbered messages at its own pace, and checks what it gets. */
import type { LinkCore } from "../../src/core/session/link-core.ts";
import type { Outcome } from "../../src/core/session/link-events.ts";
import { type Session, windowFloorBytes } from "../../src/core/session/session.ts";
import type { Undelivered } from "../../src/core/session/tickets.ts";
import { Awaited } from "./awaited.ts";
import { NO_STEP, type SimProcess } from "./process.ts";
import { LinkLife } from "./life.ts";
import { AS_NUMBERED, type Order } from "./order.ts";
import { SimBacklog } from "./sim-backlog.ts";
import type { Side } from "./parameters.ts";
import { encodeMessage, payloadSize, streamPiece } from "./payloads.ts";
import type { Random } from "./random.ts";
import { check, type Stage, violated } from "./stage.ts";

/** What is left of an end whose process has died. */
export interface StoredEnd {
  end: End;
  committed: number;
  durable: number;
  durableTaken: number;
  /** It was told how its link ended. */
  isDone: boolean;
}

export class End {
  readonly name: string;
  readonly core: LinkCore;
  /** Of which client's link. */
  readonly client: number;
  readonly life: LinkLife;
  /** How much of what this end wants to say was taken; a message that is too large counts, and is never heard of. */
  taken = 0;
  readonly tooLarge = new Set<number>();
  /** The rank of the next message of the peer that may arrive; those before it were handed out or reported. */
  expected = 0;
  readonly handed: number[] = [];
  /** The same by session: a client has several, one after the other. */
  readonly handedIn = new Map<string, number[]>();
  readonly reported: Array<{ number: number; delivery: string }> = [];
  readonly awaited: Awaited = new Awaited();
  /** What waits before the core under a policy; undefined without one. */
  readonly backlog: SimBacklog | undefined;
  /** It ends its direction as soon as nothing waits there. */
  endsWhenEmpty = false;
  outcome: Outcome | undefined;
  paused = false;
  /** Its consumer throws at the next message. */
  throwsNext = false;
  /** Its application has closed the link, and no consumer is at work. */
  reads = true;
  /** When the link was made, among all. */
  readonly ordinal: number;
  /** Bytes mode: how much was taken and handed. */
  bytesTaken = 0;
  bytesHanded = 0;
  readonly #process: SimProcess;
  readonly #stage: Stage;
  readonly #side: Side;
  readonly #random: Random;
  /** Of a byte stream: whether it reads, and writes, by the short way of the core where that is open. */
  readonly #isShort: { in: boolean; out: boolean };
  /** An application that keeps what it is handed; undefined: it keeps nothing. */
  readonly #keep: (() => void) | undefined;
  readonly #clock = { now: (): number => this.nowMs };
  #wants: number;
  #ends: boolean;
  /** In the first byte of what this end says, and of what it hears. */
  readonly #tags: { out: number; in: number };
  readonly #mostWindowBytes: number;
  #thinksUntilMs = 0;
  /** Until when it answers what it was handed, though its client is about to go on elsewhere. */
  #answersUntilMs: number | undefined;
  #consumesFromMs = 0;
  /** By session: where the message that was handed out last ended. */
  readonly #positions = new Map<string, number>();
  /** Where each message that was handed out ends. */
  readonly #handedAt: number[] = [];
  /** Handed out and not accepted, with manual acceptance. */
  #held: Array<{ session: Session; position: number }> = [];
  /** What was handed out last, and how long it was. */
  #lastRead: Buffer = Buffer.alloc(0);
  #lastReadBytes = 0;

  /** `before`: this end in an earlier life of its process, and what was stored of it. */
  constructor(process: SimProcess, core: LinkCore, client: number, side: Side, before?: StoredEnd) {
    const { stage } = process;
    this.name = side === "client" ? process.name : `${process.name} for client-${client}`;
    this.core = core;
    this.client = client;
    this.life = new LinkLife(stage);
    this.#process = process;
    this.#stage = stage;
    this.#side = side;
    this.#wants = stage.options.messages[side];
    this.#ends = stage.options.ends[side];
    this.ordinal = before?.end.ordinal ?? stage.newOrdinal();
    this.#random = stage.stream(`end ${this.ordinal}`);
    const { mode, maxMessageBytes, lag, payloadBytes, window } = stage.options;
    // A stream of its own: what else a seed stands for was there before.
    const ways = stage.stream(`ways of end ${this.ordinal}`);
    this.#isShort = { in: ways() < 0.5 && mode === "bytes", out: ways() < 0.5 && mode === "bytes" };
    this.#keep = ways() < 0.5 ? () => {} : undefined;
    const floor = windowFloorBytes({
      mode,
      maxMessageBytes: maxMessageBytes[side],
      maxBatchBytes: lag * (payloadBytes + 4),
    });
    this.#mostWindowBytes = Math.max(floor, window.maxBytes);
    const [up, down] = [2 * client, 2 * client + 1];
    this.#tags = side === "client" ? { out: up, in: down } : { out: down, in: up };
    if (before !== undefined) this.#goOn(before);
    if (side === "client" && stage.options.policy.overflow !== "none") {
      this.backlog = new SimBacklog(process, core, (number) =>
        this.awaited.wait(core, { number, reportedBefore: this.reported.length + untold(core), piece: undefined }),
      );
      stage.orders.set(client, this.backlog.order);
    }
  }

  /** Of what this end says. */
  get order(): Pick<Order, "rankOf" | "numberAt"> {
    return this.backlog?.order ?? AS_NUMBERED;
  }

  /** Of what it hears. A server says everything in the order of its numbers. */
  get #peersOrder(): Pick<Order, "rankOf"> {
    return (this.#side === "server" && this.#stage.orders.get(this.client)) || AS_NUMBERED;
  }

  /** The process was restarted: what was not stored has not happened. */
  #goOn({ end, committed, durable, durableTaken, isDone }: StoredEnd): void {
    this.handed.push(...end.handed.filter((_, n) => (end.#handedAt[n] as number) <= committed));
    this.handedIn.set(end.core.session.keys.id, [...this.handed]);
    this.#handedAt.push(...end.#handedAt.slice(0, this.handed.length));
    const last = this.handed.at(-1);
    this.expected = last === undefined ? 0 : this.#peersOrder.rankOf(last) + 1;
    this.taken = durableTaken;
    for (const number of end.tooLarge) if (number < durableTaken) this.tooLarge.add(number);
    this.bytesTaken = Math.min(durable, this.core.session.sender.endAt);
    this.bytesHanded = Math.min(committed, this.core.session.receiver.endPosition);
    if (isDone) {
      this.outcome = end.outcome;
      this.reported.push(...end.reported);
    }
    this.#wants = end.#wants;
    this.#ends = end.#ends;
    this.life.state = "reconnecting";
    if (end.handed.length > this.handed.length) this.#stage.count("handed out again after a restart");
  }

  get nowMs(): number {
    return this.#process.nowMs;
  }

  get isBlocked(): boolean {
    return this.#process.isBlocked;
  }

  get allTaken(): boolean {
    return this.taken >= this.#wants;
  }

  /** Sends and reads what it can. */
  run(): void {
    this.awaited.settle(this.core);
    this.backlog?.progress();
    this.#send();
    this.#read();
    this.#acceptHeld();
  }

  /** It says no more, and goes on listening. */
  halfClose(): void {
    this.#wants = this.taken;
    this.#ends = true;
  }

  // ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #send(): void {
    const { core } = this;
    const { options, healed } = this.#stage;
    while (this.#speaks) {
      if (!this.#takeNow() && !this.#take()) return;
      this.#think();
    }
    this.backlog?.progress();
    const { peerStopped } = core;
    const { receiver, sender } = core.session;
    // What waits under a policy goes before the end, unless nobody reads it any more.
    if (this.backlog?.isEmpty === false && !peerStopped) return;
    if (this.endsWhenEmpty && !sender.ended) core.end();
    // A server whose client goes on elsewhere ends when it has read everything. It has answered that; the rest is for
    // the next. Or when it is shown the end, with what it was handed last still in its hands.
    const isThere = this.ordinal % 2 === 0 ? receiver.endAccepted : receiver.endReached;
    const isLeft = this.#side === "server" && receiver.endKind === "moved" && isThere;
    if (isLeft && !sender.ended && this.#hasAnswered()) core.end();
    if (options.staysOpen && !healed) return;
    // Who is told of the end ends too, when it has said what it wants to.
    const ends = peerStopped || (this.allTaken && (this.#ends || core.inputEnded));
    if (ends && !sender.ended) core.end();
  }

  get #speaks(): boolean {
    if (this.allTaken || this.endsWhenEmpty || this.core.sendingEnded) return false;
    return this.#stage.clock.nowMs >= this.#thinksUntilMs;
  }

  /** Before it says more, now and then. */
  #think(): void {
    const { clock, options, healed } = this.#stage;
    if (options.thinkMs === 0 || this.taken % options.burst !== 0 || healed) return;
    const thoughtMs = 2 * options.thinkMs * this.#random();
    this.#thinksUntilMs = clock.nowMs + thoughtMs;
    this.#process.later(thoughtMs, () => this.#speakNow());
  }

  /** What all went by the short way needs no step. */
  #speakNow(): unknown {
    let isAllWritten = false;
    while (this.#speaks) {
      if (!this.#takeNow()) return undefined;
      this.#think();
      isAllWritten = true;
    }
    if (!isAllWritten || this.allTaken) return undefined;
    this.#stage.count("all that was said was written at once, without a step");
    return NO_STEP;
  }

  /** That takes a while. */
  #hasAnswered(): boolean {
    const { clock, healed } = this.#stage;
    if (this.#answersUntilMs === undefined) {
      const forMs = healed ? 0 : 300 * this.#random() ** 2;
      this.#answersUntilMs = clock.nowMs + forMs;
      this.#process.later(forMs, () => {});
    }
    return clock.nowMs >= this.#answersUntilMs;
  }

  /** By the short way, if that is open to the next piece. */
  #takeNow(): boolean {
    const { core } = this;
    const size = payloadSize(this.taken, this.#stage.options.payloadBytes);
    if (!this.#isShort.out || !core.hasRoom(size)) return false;
    const piece = streamPiece(this.#tags.out, this.bytesTaken, size);
    const write = this.#process.takeNow(core, piece);
    this.#stage.count(`a piece was ${write === undefined ? "not " : ""}written at once`);
    if (write === undefined) return false;
    this.#tookPiece(size);
    // What the write brings about may call this again.
    write();
    piece.fill(0xee);
    return true;
  }

  /** Of a stream, or a message that was taken directly. */
  #tookPiece(size: number): void {
    const { core, taken, bytesTaken } = this;
    const piece = { from: bytesTaken, to: bytesTaken + size };
    this.awaited.wait(core, { number: taken, reportedBefore: this.reported.length + untold(core), piece });
    this.bytesTaken += size;
    this.taken++;
  }

  #take(): boolean {
    const { core, taken } = this;
    const { mode, payloadBytes } = this.#stage.options;
    const size = payloadSize(taken, payloadBytes);
    if (mode === "messages" && size > core.maxMessageBytes) {
      this.tooLarge.add(taken);
      this.taken++;
    } else {
      if (this.backlog !== undefined && !this.backlog.isDirect(size)) return this.#takeBehind(this.backlog, size);
      if (!core.hasRoom(size)) return false;
      const payload =
        mode === "bytes"
          ? streamPiece(this.#tags.out, this.bytesTaken, size)
          : encodeMessage(this.#tags.out, taken, size);
      core.take(payload, size, taken % 5 === 0);
      this.backlog?.tookDirectly(taken);
      this.#tookPiece(size);
      // Whoever gives a payload to be copied may change it at once.
      if (taken % 5 !== 0) payload.fill(0xee);
    }
    return true;
  }

  /** The message waits under the policy, or is dropped there. */
  #takeBehind(backlog: SimBacklog, size: number): boolean {
    if (!backlog.push(this.taken, encodeMessage(this.#tags.out, this.taken, size))) return false;
    this.bytesTaken += size;
    this.taken++;
    return true;
  }

  // ── receiving ───────────────────────────────────────────────────────────────────────────────────────────────────

  get #waitsForMore(): boolean {
    return this.reads && !this.paused && this.#stage.clock.nowMs >= this.#consumesFromMs;
  }

  #read(): void {
    const { core } = this;
    while (this.#waitsForMore) {
      const { session } = core;
      const message = core.next(this.#keep);
      if (message === undefined) return;
      if (this.#consume(session, message)) core.accept(session.receiver.handed);
    }
  }

  /** Offers the core a chunk by its short way. Undefined: it is for `receive()`. */
  passOn(channel: number, chunk: Buffer): "all is done" | "a step follows" | undefined {
    const { core } = this;
    if (!this.#isShort.in || !this.#waitsForMore || core.events.length > 0) return undefined;
    const { session } = core;
    const wasOwed = session.ackOwed !== "nothing";
    const bytes = core.receiveNow(channel, chunk, this.#clock);
    if (bytes === undefined) {
      this.#stage.count("a chunk was not passed on");
      return undefined;
    }
    const isAccepted = this.#consume(session, bytes);
    const isMore = core.receivedNow(isAccepted, this.nowMs) || core.events.length > 0;
    this.#stage.count(`a chunk was passed on, ${isMore ? "then" : "without"} a step`);
    if (isMore) return "a step follows";
    const { ackDelayMs } = this.#stage.options;
    const isInTime = wasOwed || core.nextTimeoutMs <= this.nowMs + ackDelayMs;
    check(isInTime, () => `${this.name}: an ACK is owed, and nothing is due before ${core.nextTimeoutMs}`);
    return "all is done";
  }

  /** Takes what it was handed last. Answers whether it has accepted it when this returns. */
  #consume(session: Session, message: Buffer): boolean {
    const { core } = this;
    const { clock, options } = this.#stage;
    // The memory of a chunk is given back when all of it was copied.
    check(this.#lastRead.length === this.#lastReadBytes, () => `${this.name}: a message that was handed out is gone`);
    this.#lastRead = message;
    this.#lastReadBytes = message.length;
    if (this.throwsNext) {
      this.#throw();
      return false;
    }
    if (options.mode === "bytes") this.#checkBytes(message);
    else this.#checkMessage(message);
    const position = session.receiver.handed;
    this.#handedAt.push(position);
    const before = this.#positions.get(session.keys.id) ?? 0;
    check(position > before, () => `${this.name}: position ${position} after ${before}`);
    this.#positions.set(session.keys.id, position);
    if (options.lag > 0) this.#held.push({ session, position });
    else if (options.consumerMs === 0) return true;
    const pauseMs = 2 * options.consumerMs * this.#random();
    this.#consumesFromMs = clock.nowMs + pauseMs;
    if (pauseMs === 0) return false;
    this.#process.later(pauseMs, () => {
      // The consumer comes back: it has accepted what it held, and reads on.
      if (core.session === session && options.lag === 0) core.accept(position);
    });
    return false;
  }

  /** What it was handed last is not accepted, and the link ends. */
  #throw(): void {
    this.throwsNext = false;
    this.core.reset("handler-failed", "", "handler-failed", this.#process.nowMs);
  }

  /** By hand, and late: the last ones only when the peer has ended. */
  #acceptHeld(): void {
    const { core } = this;
    const { lag } = this.#stage.options;
    while (this.#held.length > (core.session.receiver.endReached ? 0 : lag)) {
      const { session, position } = this.#held.shift() as { session: Session; position: number };
      if (core.session === session) core.accept(position);
    }
  }

  #checkMessage(message: Buffer): void {
    const { id } = this.core.session.keys;
    const number = message.readUIntBE(1, 3);
    const sent = encodeMessage(this.#tags.in, number, payloadSize(number, this.#stage.options.payloadBytes));
    check(message.equals(sent), () => `${this.name}: message ${number} is corrupt`);
    // In one session, also where messages are sent again in the next one.
    const rank = this.#peersOrder.rankOf(number);
    check(rank >= this.expected, () => `${this.name}: message ${number} again, expected that of rank ${this.expected}`);
    this.handed.push(number);
    const inSession = this.handedIn.get(id);
    if (inSession === undefined) this.handedIn.set(id, [number]);
    else inSession.push(number);
    this.expected = rank + 1;
    this.#stage.count("handed");
  }

  #checkBytes(bytes: Buffer): void {
    const sent = streamPiece(this.#tags.in, this.bytesHanded, bytes.length);
    check(bytes.equals(sent), () => `${this.name}: bytes from ${this.bytesHanded} are wrong`);
    this.bytesHanded += bytes.length;
  }

  /** The session is over, and with `outcome` the link. */
  report({ undeliveredCount, undelivered, lost }: Undelivered, outcome?: Outcome): void {
    const { mode, payloadBytes } = this.#stage.options;
    const { name } = this;
    this.awaited.settle(this.core);
    const before = this.reported.length;
    const { byCalls, abandoned } = this.awaited.told(name, lost, before, before + undeliveredCount);
    const entries = [...undelivered, ...abandoned];
    if (outcome !== undefined) this.awaited.checkNobodyWaits(name);
    this.outcome ??= outcome;
    if (mode === "bytes") return;
    this.reported.push(...byCalls);
    if (byCalls.length > 0) this.#stage.count("a call was told of its loss");
    check(byCalls.length + entries.length === undeliveredCount, () => `${name}: ${undeliveredCount} are undelivered`);
    for (const { message, delivery } of entries) {
      const number = message.readUIntBE(1, 3);
      const sent = encodeMessage(this.#tags.out, number, payloadSize(number, payloadBytes));
      check(message.equals(sent), () => `${name}: reported message ${number} is corrupt`);
      this.reported.push({ number, delivery });
      this.#stage.count(`reported ${delivery}`);
    }
    if (outcome !== undefined) for (const number of this.backlog?.ended() ?? []) this.#reportWaiting(number);
  }

  #reportWaiting(number: number): void {
    this.reported.push({ number, delivery: "not-sent" });
    this.#stage.count("reported not-sent");
  }

  // ── what must hold after every step ─────────────────────────────────────────────────────────────────────────────

  /** What is no number is not within bounds either. */
  checkBounds(): void {
    const { sender, receiver } = this.core.session;
    const { log, acked, highestSent } = sender;
    const { received, accepted, grant, readableBytes, heldBytes } = receiver;
    if (!(log.start <= acked && acked <= highestSent && sender.sentNow <= highestSent)) {
      this.#violated(`acked ${acked}, sent ${sender.sentNow}, highest ${highestSent}`);
    }
    if (!(accepted <= received && readableBytes >= 0)) {
      this.#violated(`accepted ${accepted}, handed ${receiver.handed}, received ${received}`);
    }
    if (!(Math.min(received, receiver.endPosition) <= grant)) this.#violated(`received ${received}, granted ${grant}`);
    if (!receiver.stopped) this.#checkWindow();
    if (!(heldBytes <= 2 * readableBytes + 8_192)) {
      this.#violated(`${heldBytes} bytes of memory for ${readableBytes} that are unread`);
    }
    // What is sent again in a new session was in the log of the old one, and waits beside the queue.
    if (sender.carriedWritten > 0) return;
    const { queue } = this.#stage.options;
    if (!(sender.queuedBytes <= queue.maxBytes)) this.#violated(`${sender.queuedBytes} bytes queued`);
    if (!(sender.queuedMessages <= queue.maxMessages)) this.#violated(`${sender.queuedMessages} messages queued`);
  }

  /** What is accepted and not committed yet is held by nobody here, and is no credit. */
  #checkWindow(): void {
    const { received, committed, grant, windowBytes, unacceptedBytes } = this.core.session.receiver;
    if (!(windowBytes <= this.#mostWindowBytes)) this.#violated(`a window of ${windowBytes} bytes`);
    // What is held is charged, with a connection or without.
    if (!(unacceptedBytes <= windowBytes)) this.#violated(`${unacceptedBytes} bytes held out of ${windowBytes}`);
    // And on a connection the peer may add to it no more than that, counted from what is committed.
    if (this.core.adopted === undefined || grant <= Math.max(received, committed + windowBytes)) return;
    this.#violated(`${grant - committed} bytes of credit out of ${windowBytes}`);
  }

  #violated(what: string): never {
    violated(`${this.name}: ${what}`);
  }

  describe(): string {
    const { sender, receiver, phase } = this.core.session;
    return (
      `${this.name}: ${phase} ${this.core.adopted === undefined ? "offline" : "online"} taken ${this.taken}/${this.#wants} ` +
      `acked ${sender.acked} sent ${sender.sentNow} high ${sender.highestSent} limit ${sender.limit} end ${sender.log.end} ` +
      `${sender.endKind} | received ${receiver.received} handed ${receiver.handed} accepted ${receiver.accepted} ` +
      `grant ${receiver.grant} ${receiver.endKind} outcome ${this.outcome}`
    );
  }
}

/** Undelivered messages of which the application will hear in this step. */
function untold({ events }: LinkCore): number {
  return events.reduce((sum, event) => (event.type === "replaced" ? sum + event.undeliveredCount : sum), 0);
}
