/** The object that an application holds, at either end: the methods of `Link`, and at runtime nothing else. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { LinkState } from "../core/states.ts";
import { ownCopy } from "../core/wire/bytes.ts";
import { checkClose } from "./check.ts";
import { CheckedEmitter } from "./emitter.ts";
import type { LinkEngine } from "./engine.ts";
import { invalidArgument, RespliceError } from "./errors.ts";
import type {
  ClearOptions,
  CloseOptions,
  Link,
  LinkEvents,
  LinkReport,
  LinkStats,
  Message,
  Payload,
  SendOptions,
  TrySendOptions,
  UndeliveredMessage,
  WaitOptions,
} from "./types.ts";

/** Of a code for abort(). */
const MOST_CODE_BYTES = 64;
const EVENT_NAMES: ReadonlySet<string> = new Set<keyof LinkEvents>(["state", "undelivered", "stalled", "end", "error"]);

export class LinkHandle extends CheckedEmitter<LinkEvents> implements Link {
  readonly id: string;
  readonly #engine: LinkEngine;
  /** Made when the application first asks for it. */
  #openPayload: Message | undefined;

  constructor(engine: LinkEngine) {
    super(EVENT_NAMES);
    this.id = engine.id;
    this.#engine = engine;
    engine.link = this;
  }

  /** For `forwarding.ts` alone. */
  static engineOf(link: Link): LinkEngine {
    return (link as LinkHandle).#engine;
  }

  // ── what it is ──────────────────────────────────────────────────────────────────────────────────────────────────

  get state(): LinkState {
    return this.#engine.state;
  }

  get sessionId(): string {
    return this.#engine.protocol.sessionId;
  }

  get identity(): string | undefined {
    return this.#engine.owner.identity;
  }

  get claims(): unknown {
    return this.#engine.owner.claims;
  }

  /** A copy: each later HELLO is compared with the original, which the application must not be able to change. */
  get openPayload(): Message {
    return (this.#openPayload ??= ownCopy(this.#engine.owner.openPayload) as Message);
  }

  get remoteAddress(): string | undefined {
    return this.#engine.driver.remoteAddress;
  }

  // ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────────

  send(message: Payload, options?: SendOptions): Promise<void> {
    return this.#engine.outgoing.send(message, options);
  }

  trySend(message: Payload, options?: TrySendOptions): boolean {
    return this.#engine.outgoing.trySend(message, options);
  }

  ready(options?: WaitOptions): Promise<void> {
    return this.#engine.outgoing.ready(options);
  }

  flush(options?: WaitOptions): Promise<void> {
    return this.#engine.outgoing.flush(options);
  }

  clear(options: ClearOptions = {}): UndeliveredMessage[] {
    return this.#engine.outgoing.clear(options);
  }

  get writableLength(): number {
    return this.#engine.outgoing.unacceptedBytes;
  }

  // ── receiving ───────────────────────────────────────────────────────────────────────────────────────────────────

  receive(options?: WaitOptions): Promise<Message | null> {
    return this.#engine.incoming.receive(options);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.#engine.incoming.iterate();
  }

  onMessage(handler: (message: Message) => void | Promise<void>): void {
    this.#engine.incoming.onMessage(handler);
  }

  waitUntil(promise: PromiseLike<unknown>): void {
    this.#engine.owner.waitUntil(promise);
  }

  get readableLength(): number {
    const { protocol } = this.#engine;
    return protocol.ended ? 0 : protocol.readableBytes;
  }

  get position(): number {
    return this.#engine.protocol.handedTo;
  }

  accept(position: number): void {
    this.#engine.incoming.acceptUpTo(position);
  }

  duplex(): Duplex {
    return this.#engine.stream("duplex").duplex();
  }

  socket(): Socket {
    // By Node's types an address that is unknown is a property that is absent; at runtime it is undefined.
    return this.#engine.stream("socket").socket() as Socket;
  }

  // ── the connection, and the end ─────────────────────────────────────────────────────────────────────────────────

  connected(options?: WaitOptions): Promise<void> {
    return this.#engine.connected(options);
  }

  hold(): void {
    this.#engine.hold();
  }

  retryNow(): void {
    this.#engine.owner.retryNow();
  }

  ping(): void {
    this.#engine.driver.ping();
  }

  reauthenticate(): void {
    const { owner } = this.#engine;
    if (owner.reauthenticate === undefined)
      throw new RespliceError("NOT_SUPPORTED", "reauthenticate() is for a server's links to resplice clients");
    owner.reauthenticate();
  }

  end(): void {
    this.#engine.end();
  }

  close(options: CloseOptions = {}): Promise<LinkReport> {
    checkClose(options);
    return this.#engine.close(options);
  }

  abort(code = ""): void {
    if (typeof code !== "string" || Buffer.byteLength(code) > MOST_CODE_BYTES)
      throw invalidArgument(`an abort code is a string of at most ${MOST_CODE_BYTES} bytes`, code);
    this.#engine.abort(code);
  }

  get closed(): Promise<LinkReport> {
    return this.#engine.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  stats(): LinkStats {
    return this.#engine.stats();
  }
}
