/** What is measured, each as a sender and a receiver. Run as a process of its own by `main.ts`. */
import net from "node:net";

import { ConnectionManager, ServerSupervisor } from "../src/index.ts";

export const CONTENDERS = ["raw gathered", "raw write each", "resplice"] as const;
export type Contender = (typeof CONTENDERS)[number];
export type Result = { messages: number; ms: number };

/** What raw senders gather before they write. */
const BLOCK_BYTES = 65_536;

/** Counts and checks what arrives, and tells the parent once the time is over. */
class Tally {
  messages = 0;
  readonly #size: number;
  readonly #ms: number;
  #startedMs = 0;
  #told = false;

  constructor(size: number, seconds: number) {
    this.#size = size;
    this.#ms = 1_000 * seconds;
  }

  take(message: Buffer): void {
    if (message.length !== this.#size) throw new Error(`a message of ${message.length} bytes`);
    if (message.readUInt32BE(0) !== this.messages)
      throw new Error(`message ${message.readUInt32BE(0)} for ${this.messages}`);
    if (this.messages++ === 0) this.#startedMs = performance.now();
    // Reading the clock for each message would cost more than the message.
    if ((this.messages & 0x3f) === 0) this.#look();
  }

  #look(): void {
    const ms = performance.now() - this.#startedMs;
    if (ms < this.#ms || this.#told) return;
    this.#told = true;
    process.send?.({ messages: this.messages, ms } satisfies Result);
  }
}

async function receiveRaw(tally: Tally): Promise<number> {
  const server = net.createServer({ noDelay: true }, (socket) => {
    let rest: Buffer = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let at = 0;
      while (bytes.length - at >= 4) {
        const end = at + 4 + bytes.readUInt32BE(at);
        if (end > bytes.length) break;
        tally.take(bytes.subarray(at + 4, end));
        at = end;
      }
      rest = bytes.subarray(at);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as net.AddressInfo).port;
}

async function receiveResplice(tally: Tally): Promise<number> {
  const supervisor = new ServerSupervisor({ port: 0, host: "127.0.0.1" });
  supervisor.serve((link) => link.onMessage((message) => tally.take(message)));
  return (await supervisor.listen()).port;
}

async function sendRaw(port: number, size: number, gathered: boolean): Promise<void> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => {});
  const message = Buffer.alloc(size);
  const perBlock = gathered ? Math.max(1, Math.floor(BLOCK_BYTES / (size + 4))) : 1;
  for (let number = 0; ;) {
    const block = Buffer.allocUnsafe(perBlock * (size + 4));
    for (let at = 0; at < block.length; at += size + 4) {
      message.writeUInt32BE(number++, 0);
      block.writeUInt32BE(size, at);
      message.copy(block, at + 4);
    }
    if (!socket.write(block)) await new Promise((resolve) => socket.once("drain", resolve));
  }
}

async function sendResplice(port: number, size: number): Promise<void> {
  const link = new ConnectionManager().open({ port, host: "127.0.0.1" });
  const message = Buffer.alloc(size);
  for (let number = 0; ; number++) {
    message.writeUInt32BE(number, 0);
    while (!link.trySend(message)) await link.ready();
  }
}

if (process.send !== undefined && process.argv.length > 5) {
  const [role, contender, size = "", seconds = "", port = ""] = process.argv.slice(2);
  process.on("message", () => process.exit(0));
  process.on("disconnect", () => process.exit(0));
  if (role === "receive") {
    const tally = new Tally(Number(size), Number(seconds));
    process.send(await (contender === "resplice" ? receiveResplice(tally) : receiveRaw(tally)));
  } else if (contender === "resplice") {
    await sendResplice(Number(port), Number(size));
  } else {
    await sendRaw(Number(port), Number(size), contender === "raw gathered");
  }
}
