/** A link in mode "bytes" with the face of a net.Socket, for libraries that expect one. */
import { MOST_MS } from "./check.ts";
import { type DuplexInput, type DuplexLink, type DuplexOutput, LinkDuplex } from "./duplex.ts";
import { RespliceError } from "./errors.ts";
import type { ResolvedLinkOptions } from "./options.ts";
import type { Addresses, Clock, Timer } from "./ports.ts";
import { socketError } from "./socket-error.ts";

export interface SocketLink extends DuplexLink {
  readonly driver: {
    readonly clock: Clock;
    /** Of the connection in use. */
    readonly addresses: Addresses | undefined;
    holdProcess(isHeld: boolean): void;
  };
  readonly owner: { holdProcess(isHeld: boolean): void };
  /** The link is, or has been, connected. */
  readonly wasConnected: boolean;
  /** What was taken is still delivered, then our direction ends; nothing more is read. */
  letGo(): void;
}

type Callback = (error?: Error | null) => void;

export class LinkSocket extends LinkDuplex {
  /** Until the link is connected for the first time. */
  connecting: boolean;
  /** As setTimeout() was given it; 0: none. */
  timeout = 0;
  bytesRead = 0;
  /** What Node has in these places when a socket was not connected by name, or no such option is set. */
  readonly autoSelectFamilyAttemptedAddresses: string[] = [];
  readonly #link: SocketLink;
  /** Of the connection in use, else of the last one. */
  #addresses: Addresses | undefined;
  /** Bytes of the chunks that are written. */
  #writtenBytes = 0;
  /** Of the chunk that is being written, the bytes that the link has taken. */
  #chunkBytesTaken = 0;
  /** A write, or the end, that waits until the link is connected. */
  #whenConnected: ((error?: Error) => void) | undefined;
  #timer: Timer | undefined;
  #activeMs = 0;
  /** The timer is not set: it is with the next byte. */
  #isIdle = true;

  constructor(
    link: SocketLink,
    output: DuplexOutput,
    input: DuplexInput,
    options: Pick<ResolvedLinkOptions, "queue" | "allowHalfOpen">,
  ) {
    super(link, output, input, options);
    this.#link = link;
    this.connecting = !link.wasConnected;
    this.#addresses = link.driver.addresses;
  }

  // ── connecting ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The link has a connection. */
  connected(): void {
    this.#addresses = this.#link.driver.addresses ?? this.#addresses;
    if (!this.connecting || this.destroyed) return;
    this.connecting = false;
    const goOn = this.#whenConnected;
    this.#whenConnected = undefined;
    goOn?.();
    this.#tellConnected();
  }

  #tellConnected(): void {
    if (this.destroyed) return;
    this.#active();
    this.emit("connect");
    this.emit("ready");
  }

  /** Connects nothing: the link does that. 'connect' comes when it is connected, or soon, if it is already. */
  connect(...given: unknown[]): this {
    const listener = given.at(-1);
    if (this.destroyed)
      throw new RespliceError("INVALID_STATE", "the socket of a link cannot connect again: open a link");
    if (typeof listener === "function") this.once("connect", listener as () => void);
    if (!this.connecting) this.#link.driver.clock.defer((socket) => socket.#tellConnected(), this);
    return this;
  }

  get pending(): boolean {
    return this.connecting || this.destroyed;
  }

  get readyState(): "opening" | "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.connecting) return "opening";
    if (this.readable) return this.writable ? "open" : "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  // ── writing and ending ──────────────────────────────────────────────────────────────────────────────────────────

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: Callback): void {
    this.#active();
    this.#afterConnect(callback, () => {
      super._write(chunk, encoding, (error) => {
        this.#chunkBytesTaken = 0;
        this.#writtenBytes += chunk.length;
        callback(error);
      });
    });
  }

  /** 'finish' says that the link has taken everything, as that of a socket says it of the kernel. */
  override _final(callback: Callback): void {
    this.#afterConnect(callback, () => {
      this.#link.endSending();
      callback();
    });
  }

  #afterConnect(callback: Callback, goOn: () => void): void {
    if (!this.connecting) return goOn();
    this.#whenConnected = (error) => {
      if (error === undefined) goOn();
      else callback(error);
    };
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  resetAndDestroy(): this {
    this.#link.abort("socket-reset");
    return this.destroy();
  }

  protected override leaveLink(error: Error | null): void {
    const isTaken = this.writableLength === this.#chunkBytesTaken;
    // Where the link has not taken all, the peer would take a part for the whole.
    if (error !== null || this.connecting || !isTaken) this.#link.abort("stream-destroyed");
    else this.#link.letGo();
    this.connecting = false;
    this.#timer?.clear();
    const wait = this.#whenConnected;
    this.#whenConnected = undefined;
    wait?.(error ?? new RespliceError("LINK_ENDED", "the socket was destroyed before the link was connected"));
  }

  /** Bytes that were written, those that wait in the stream too. */
  get bytesWritten(): number {
    return this.#writtenBytes + this.writableLength;
  }

  get bufferSize(): number {
    return this.writableLength;
  }

  protected override onTaken(bytes: number): void {
    this.bytesRead += bytes;
    this.#active();
  }

  protected override onSent(bytes: number): void {
    this.#chunkBytesTaken += bytes;
    this.#active();
  }

  protected override toldError(error: Error): Error {
    return socketError(error);
  }

  /** 'close' says whether there was an error. */
  override emit(event: string | symbol, ...given: unknown[]): boolean {
    if (event === "close" && given.length === 0) return super.emit(event, this.errored !== null);
    return super.emit(event, ...given);
  }

  // ── the process, and what the link does by itself ───────────────────────────────────────────────────────────────

  /** The link keeps the process alive again. */
  ref(): this {
    return this.#holdProcess(true);
  }

  /** The process may end though the link is open. An attempt to connect that is under way is still waited for. */
  unref(): this {
    return this.#holdProcess(false);
  }

  #holdProcess(isHeld: boolean): this {
    this.#link.driver.holdProcess(isHeld);
    this.#link.owner.holdProcess(isHeld);
    return this;
  }

  /** Does nothing: a link never waits for more bytes before it writes. */
  setNoDelay(): this {
    return this;
  }

  /** Does nothing: a link has a keepalive of its own, the option `keepalive`. */
  setKeepAlive(): this {
    return this;
  }

  /** Does nothing: connections come and go beneath. */
  setTypeOfService(): this {
    return this;
  }

  getTypeOfService(): number {
    return 0;
  }

  // ── addresses ───────────────────────────────────────────────────────────────────────────────────────────────────

  get remoteAddress(): string | undefined {
    return this.#addresses?.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#addresses?.remotePort;
  }

  get remoteFamily(): string | undefined {
    return familyOf(this.remoteAddress);
  }

  get localAddress(): string | undefined {
    return this.#addresses?.localAddress;
  }

  get localPort(): number | undefined {
    return this.#addresses?.localPort;
  }

  get localFamily(): string | undefined {
    return familyOf(this.localAddress);
  }

  /** Our own end; empty where that has no address. */
  address(): { address: string; family: string; port: number } | Record<string, never> {
    const { localAddress: address, localFamily: family, localPort: port } = this;
    return address === undefined || family === undefined || port === undefined ? {} : { address, family, port };
  }

  // ── the timeout ─────────────────────────────────────────────────────────────────────────────────────────────────

  setTimeout(ms: number, listener?: () => void): this {
    if (typeof ms !== "number" || !(ms >= 0 && ms < Infinity)) {
      throw new RespliceError(
        "INVALID_ARGUMENT",
        `a timeout is a number of milliseconds, 0 or more, not ${String(ms)}`,
      );
    }
    this.timeout = Math.min(ms, MOST_MS);
    if (ms === 0) {
      this.#timer?.clear();
      if (listener !== undefined) this.off("timeout", listener);
      return this;
    }
    if (listener !== undefined) this.once("timeout", listener);
    if (this.#timer === undefined) {
      this.#timer = this.#link.driver.clock.timer(() => this.#onTimer());
      this.#timer.holdProcess(false);
    }
    this.#isIdle = true;
    this.#active();
    return this;
  }

  #active(): void {
    if (this.timeout === 0 || this.destroyed) return;
    this.#activeMs = this.#link.driver.clock.now();
    // Else the timer is set already: when it is due, it looks at what has happened meanwhile.
    if (this.#isIdle) this.#timer?.set(this.#activeMs + this.timeout);
    this.#isIdle = false;
  }

  #onTimer(): void {
    if (this.timeout === 0 || this.destroyed) return;
    const dueMs = this.#activeMs + this.timeout;
    if (this.#link.driver.clock.now() < dueMs) {
      this.#timer?.set(dueMs);
      return;
    }
    this.#isIdle = true;
    this.emit("timeout");
  }
}

function familyOf(address: string | undefined): "IPv4" | "IPv6" | undefined {
  if (address === undefined) return undefined;
  return address.includes(":") ? "IPv6" : "IPv4";
}
