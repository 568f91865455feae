/**
 * The reference: `net.Socket` as one would write it by hand for speed, with a length before each message and nothing kept.
 * The sender gathers messages in blocks of 64 KiB, and fills a block again once it is written: a few blocks take turns, and
 * stay in the processor's cache. The receiver parses in place and hands on one view a message.
 */
import net from "node:net";

const BLOCK_BYTES = 65_536;
/** So many written blocks are kept to be filled again. */
const IDLE_BLOCKS = 16;
const PREFIX_BYTES = 4;

/** With the methods of a `Link`, as far as the measurements need them. `RawLines` puts something else around messages. */
export class RawConversation {
  readonly socket: net.Socket;
  protected block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  readonly #idle: Buffer[] = [];
  /** How much of the block is filled. */
  protected used = 0;
  #full = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("error", () => {}); // the other process was ended
  }

  /** Gathers. false: the socket is full, and the message was not taken. */
  trySend(payload: Buffer): boolean {
    const bytes = PREFIX_BYTES + payload.length;
    if (!this.hasRoom(bytes)) return false;
    this.block.writeUInt32BE(payload.length, this.used);
    this.block.set(payload, this.used + PREFIX_BYTES);
    this.used += bytes;
    return true;
  }

  /** Makes room in the block for so many bytes. false: the socket is full. */
  protected hasRoom(bytes: number): boolean {
    if (this.#full) return false;
    if (this.used + bytes > this.block.length) {
      this.#write();
      if (bytes > this.block.length) {
        // Larger messages want larger blocks, from now on.
        this.block = Buffer.allocUnsafeSlow(bytes);
        this.#idle.length = 0;
      }
      if (this.#full) return false;
    }
    return true;
  }

  ready(): Promise<void> {
    return new Promise((resolve) => {
      this.socket.once("drain", () => {
        this.#full = false;
        resolve();
      });
    });
  }

  connected(): Promise<void> {
    if (!this.socket.connecting) return Promise.resolve();
    return new Promise((resolve) => this.socket.once("connect", resolve));
  }

  /** One message in one write, for whoever has no other to gather it with. */
  sendNow(payload: Buffer): void {
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + payload.length);
    frame.writeUInt32BE(payload.length, 0);
    frame.set(payload, PREFIX_BYTES);
    this.socket.write(frame);
  }

  /** By reference, prefix and payload in one writev. false: full, but taken, as a stream's write() says it. */
  sendUncopied(payload: Buffer): boolean {
    const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
    prefix.writeUInt32BE(payload.length, 0);
    this.socket.cork();
    this.socket.write(prefix);
    const room = this.socket.write(payload);
    this.socket.uncork();
    return room;
  }

  /** Resolves when the kernel has everything. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      if (this.used > 0) this.#write();
      // An empty write comes after all that were written before it.
      this.socket.write("", () => resolve());
    });
  }

  #write(): void {
    if (this.used === 0) return;
    const block = this.block;
    this.#full = !this.socket.write(block.subarray(0, this.used), () => this.#recycle(block));
    this.block = this.#idle.pop() ?? Buffer.allocUnsafeSlow(block.length);
    this.used = 0;
  }

  /** Nobody reads it any more. */
  #recycle(block: Buffer): void {
    if (block.length === this.block.length && this.#idle.length < IDLE_BLOCKS) this.#idle.push(block);
  }

  onMessage(handler: (message: Buffer) => void): void {
    const parser = new Parser(handler);
    this.socket.on("data", (chunk: Buffer) => parser.take(chunk));
  }
}

/** Only a message that spans two chunks is put together by copying. */
class Parser {
  readonly #handler: (message: Buffer) => void;
  /** The message that spans chunks, once its length is known, and how much of it is here. */
  #partial: Buffer | undefined;
  #partialBytes = 0;
  /** A prefix that spans chunks. */
  #prefix = 0;
  #prefixBytes = 0;

  constructor(handler: (message: Buffer) => void) {
    this.#handler = handler;
  }

  take(chunk: Buffer): void {
    let at = this.#prefixBytes > 0 || this.#partial !== undefined ? this.#finish(chunk) : 0;
    const end = chunk.length;
    while (end - at >= PREFIX_BYTES) {
      const bytes = chunk.readUInt32BE(at);
      const next = at + PREFIX_BYTES + bytes;
      if (next > end) {
        this.#partial = Buffer.allocUnsafeSlow(bytes);
        this.#partialBytes = chunk.copy(this.#partial, 0, at + PREFIX_BYTES);
        return;
      }
      this.#handler(chunk.subarray(at + PREFIX_BYTES, next));
      at = next;
    }
    for (; at < end; at++) this.#addToPrefix(chunk[at] as number);
  }

  /** Goes on with what the chunk before has left; answers where the rest begins. */
  #finish(chunk: Buffer): number {
    let at = 0;
    while (this.#partial === undefined) {
      if (at === chunk.length) return at;
      this.#addToPrefix(chunk[at++] as number);
      if (this.#prefixBytes < PREFIX_BYTES) continue;
      this.#partial = Buffer.allocUnsafeSlow(this.#prefix);
      this.#partialBytes = 0;
      this.#prefix = 0;
      this.#prefixBytes = 0;
    }
    const partial = this.#partial;
    const copied = chunk.copy(partial, this.#partialBytes, at);
    this.#partialBytes += copied;
    if (this.#partialBytes === partial.length) {
      this.#partial = undefined;
      this.#handler(partial);
    }
    return at + copied;
  }

  #addToPrefix(byte: number): void {
    this.#prefix = this.#prefix * 256 + byte;
    this.#prefixBytes += 1;
  }
}

/** A listener on loopback. */
export async function listenRaw(
  onConversation: (conversation: RawConversation) => void,
  Speaks: typeof RawConversation = RawConversation,
): Promise<number> {
  const server = net.createServer({ noDelay: true }, (socket) => onConversation(new Speaks(socket)));
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, resolve));
  return (server.address() as net.AddressInfo).port;
}

export function connectRaw(port: number, Speaks: typeof RawConversation = RawConversation): RawConversation {
  return new Speaks(net.connect({ port, host: "127.0.0.1", noDelay: true }));
}
