/** The ports of a link: `io` implements them with sockets and timers, `testing` with a simulated network. */
export type { Budget } from "../core/log/window.ts";

/** Monotonic time, in milliseconds. */
export interface Clock {
  now(): number;
  /** The wall clock, in milliseconds: it goes on while the machine sleeps, and may be set. */
  wallMs(): number;
  /** Runs `run` with `of` after the current turn, once for each call. */
  defer<T>(run: (of: T) => void, of: T): void;
  /** Runs `run` with `of` when everything that has arrived by now was handed to its reader, once for each call. */
  afterPoll<T>(run: (of: T) => void, of: T): void;
  /**
   * Runs `run` with `of` soon, once for each call and in the order of the calls. When there are many, other work runs
   * in between. It is for work that very many connections may want at the same moment.
   */
  spread<T>(run: (of: T) => void, of: T): void;
  /** A timer that is not set yet. When it is due, `run` is called with `of`. */
  timer<T>(run: (of: T) => void, of?: T): Timer;
}

export interface Timer {
  /** Sets or moves the due time; Infinity clears the timer. */
  set(dueMs: number): void;
  clear(): void;
  /** Whether the timer keeps the process alive while it is set. It does, unless this was called with false. */
  holdProcess(isHeld: boolean): void;
}

/** Where the two ends of a connection are, as far as that is known. */
export interface Addresses {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
}

/** One connection. Its input goes to its handler, of which there is one at a time. */
export interface Connection {
  handler: ConnectionHandler;
  /**
   * The peer's address, "" where it has none, as on a Unix socket. Whoever makes the connection gives it: it stays the
   * same after the close, and need not be the address of the socket.
   */
  readonly remoteAddress: string;
  /** Both ends of it. Only a connection that is a socket has this property. */
  readonly addresses?: Addresses;
  /**
   * The bytes that can be written now without piling up in this process; once it is 0, `onDrain` says when it grows.
   */
  readonly roomBytes: number;
  /**
   * Bytes given to write() that may not be changed yet: the socket has still to read them. Of a connection that is
   * closed it says nothing.
   */
  readonly pendingBytes: number;
  /** Answers whether the kernel has taken all that was written until now: then `onWritten` is not called for it. */
  write(buffers: readonly Buffer[]): boolean;
  /**
   * Stops reading, until `resume()`: what the peer sends piles up on its own side. A stream that cannot be paused hands
   * over chunks all the same. A connection that is paused does not hear that its peer has ended it.
   */
  pause(): void;
  /** Reads on after `pause()`. On a connection that is not paused, or is closed, it does nothing. */
  resume(): void;
  /**
   * Ends our direction behind everything that was written, and goes on reading. Only a connection that a server's plain
   * link may have needs this method: a stream whose two directions end apart.
   */
  endWriting?(): void;
  /**
   * Closes the connection after `last` has been written. The handler is not called any more. The peer may take
   * `lingerMs` to close after us, by default as long as the connection gives any peer.
   */
  end(last: readonly Buffer[], lingerMs?: number): void;
  /** Closes the connection at once. The handler is not called any more. */
  destroy(): void;
  /**
   * Whether the connection keeps the process alive. It does, unless this was called with false. Only a connection that
   * could keep it alive has this method.
   */
  holdProcess?(isHeld: boolean): void;
  /**
   * Calls `run`, which may be called twice, when nothing of the connection is left. One without this method leaves
   * nothing behind `end()` and `destroy()`.
   */
  whenGone?(run: () => void): void;
}

export interface ConnectionHandler {
  /**
   * Answers "enough" if the consumer can be handed no more in this turn of the event loop: bytes read now would pile
   * up. `isFollowed`: another chunk follows before anything else happens, so what this one brings may be acted on then.
   */
  onData(chunk: Buffer, isFollowed?: boolean): "enough" | undefined;
  onDrain(): void;
  /**
   * The kernel has taken everything that was written: `pendingBytes` has fallen to 0. Called once each time, never
   * within write(), and not if write() has answered that already. A connection whose handler has no `onWritten` is spared a callback for each write; so bytes that
   * were written for a handler before this one may not be reported.
   */
  readonly onWritten?: (() => void) | undefined;
  /**
   * The peer has ended its direction. What is written from now on may still reach it. With a handler that does not want
   * to know, the connection is closed instead.
   */
  readonly onInputEnded?: (() => void) | undefined;
  /** Called once; no other call follows. */
  onClosed(reason: string): void;
}
