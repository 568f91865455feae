/** A client written from docs/protocol.md alone: it imports nothing of the sources but the server that it talks to. */
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { type Link, ServerSupervisor } from "resplice";
import { expect, onTestFinished, test } from "vitest";

const TYPE = { hello: 1, welcome: 2, refuse: 3, confirm: 4, data: 5, ack: 6, ping: 7, standby: 9, ready: 10 };
const LATER = { commit: 11, committed: 12, reset: 14, reason: 129 };
const [STOP, DONE, RESUME, FALLBACK, END] = [1, 2, 16, 32, 1];
const ZEROS = Buffer.alloc(16);

interface Frame {
  type: number;
  flags: number;
  body: Buffer;
}
type Session = { id: Buffer; secret: Buffer; incarnation: Buffer };

function frame(type: number, flags: number, ...body: Buffer[]): Buffer {
  const header = Buffer.alloc(8);
  header[0] = type;
  header[1] = flags;
  header.writeUInt32BE(
    body.reduce((sum, { length }) => sum + length, 0),
    4,
  );
  return Buffer.concat([header, ...body]);
}

function u16(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(2 * numbers.length);
  for (const [at, number] of numbers.entries()) bytes.writeUInt16BE(number, 2 * at);
  return bytes;
}

function u32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

function u64(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(8 * numbers.length);
  for (const [at, number] of numbers.entries()) bytes.writeBigUInt64BE(BigInt(number), 8 * at);
  return bytes;
}

const position = (from: Buffer, at: number): number => Number(from.readBigUInt64BE(at));

/** One TCP connection, cut into frames. No PING is answered: no test here takes so long that one comes. */
class Wire {
  readonly socket: net.Socket;
  #bytes = Buffer.alloc(0);

  constructor(port: number) {
    this.socket = net.connect(port, "127.0.0.1");
    this.socket.pause();
    onTestFinished(() => void this.socket.destroy());
  }

  write(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The next frame; undefined when the server has closed the connection. */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      if (this.#bytes.length >= 8 && this.#bytes.length >= 8 + this.#bytes.readUInt32BE(4)) {
        const end = 8 + this.#bytes.readUInt32BE(4);
        const whole = this.#bytes.subarray(0, end);
        this.#bytes = this.#bytes.subarray(end);
        return { type: whole[0] ?? 0, flags: whole[1] ?? 0, body: whole.subarray(8) };
      }
      const chunk = this.socket.read() as Buffer | null;
      if (chunk !== null) this.#bytes = Buffer.concat([this.#bytes, chunk]);
      else if (this.socket.readableEnded) return undefined;
      else await Promise.race([once(this.socket, "readable"), once(this.socket, "end")]);
    }
  }

  async expect(type: number): Promise<Frame> {
    const next = await this.next();
    if (next?.type !== type)
      throw new Error(`expected frame ${type}, got ${next?.type}: ${next?.body.toString("hex")}`);
    return next;
  }
}

class ForeignClient {
  readonly instance = randomBytes(16);
  readonly #port: number;
  session: Session = { id: randomBytes(16), secret: randomBytes(32), incarnation: ZEROS };
  counter = 0;
  /** Of the server's log: what has arrived, all of it accepted at once. */
  received = 0;
  stop = 0;
  done = 0;
  /** Of our own. */
  log = Buffer.alloc(0);
  acked = 0;
  peerFlags = 0;
  #inbound = Buffer.alloc(0);
  readonly messages: string[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  dial(): Wire {
    return new Wire(this.#port);
  }

  take(...messages: string[]): void {
    for (const message of messages) this.log = Buffer.concat([this.log, u32(message.length), Buffer.from(message)]);
  }

  #positions(): Buffer {
    return Buffer.concat([u64(this.received, this.received), u32(1_048_580)]);
  }

  hello(type: number, resume: boolean, fallback?: Session): Buffer {
    const { id, secret, incarnation } = this.session;
    const credentials = Buffer.from("let me in");
    const openPayload = type === TYPE.standby ? ZEROS.subarray(0, 0) : Buffer.from("tenant 7");
    const flags = (resume ? RESUME : 0) | (fallback === undefined ? 0 : FALLBACK) | this.stop | this.done;
    const bytes = frame(
      type,
      flags,
      Buffer.from("RSPL\u0001\0\0\0", "latin1"),
      id,
      incarnation,
      u64(1, ++this.counter),
      this.instance,
      this.#positions(),
      u32(1_048_576),
      resume ? Buffer.alloc(32) : secret,
      fallback?.id ?? ZEROS,
      fallback?.secret ?? Buffer.alloc(32),
      u16(credentials.length, openPayload.length),
      credentials,
      openPayload,
    );
    if (resume)
      createHmac("sha256", secret).update("resplice hello 1\0", "latin1").update(bytes).digest().copy(bytes, 104);
    return bytes;
  }

  confirm(welcome: Buffer): Buffer {
    this.session.incarnation = Buffer.from(welcome.subarray(4, 20));
    const mac = createHmac("sha256", this.session.secret)
      .update("resplice confirm 1\0", "latin1")
      .update(Buffer.concat([this.session.id, this.session.incarnation, welcome.subarray(20, 36)]))
      .digest();
    return frame(TYPE.confirm, 0, mac);
  }

  ack(type: number = TYPE.ack): Buffer {
    return frame(type, this.stop | this.done, this.#positions());
  }

  data(from: number, to: number, end = 0): Buffer {
    return frame(TYPE.data, end, u64(from), this.log.subarray(from, to));
  }

  /** Takes what arrives until `done` says so. */
  async receiveUntil(wire: Wire, done: () => boolean): Promise<void> {
    while (!done()) {
      const next = await wire.next();
      if (next === undefined) throw new Error("the server closed the connection");
      if (next.type === TYPE.ack) {
        this.acked = position(next.body, 8);
        this.peerFlags |= next.flags;
      } else if (next.type === TYPE.data) {
        this.#onData(position(next.body, 0), next.body.subarray(8), next.flags);
      }
    }
  }

  #onData(offset: number, bytes: Buffer, flags: number): void {
    if (offset > this.received) throw new Error("a gap");
    this.#inbound = Buffer.concat([this.#inbound, bytes.subarray(this.received - offset)]);
    this.received = Math.max(this.received, offset + bytes.length);
    while (this.#inbound.length >= 4 && this.#inbound.length >= 4 + this.#inbound.readUInt32BE(0)) {
      const end = 4 + this.#inbound.readUInt32BE(0);
      this.messages.push(this.#inbound.toString("utf8", 4, end));
      this.#inbound = this.#inbound.subarray(end);
    }
    if ((flags & END) !== 0) this.received = offset + bytes.length + 1;
  }
}

async function serve(handler: (link: Link) => Promise<void>): Promise<{ port: number; supervisor: ServerSupervisor }> {
  const supervisor = new ServerSupervisor({
    port: 0,
    authenticate: ({ credentials }) => (String(credentials) === "let me in" ? "foreigner" : null),
  });
  onTestFinished(async () => void (await supervisor.close({ deadlineMs: 0 })));
  supervisor.serve(handler);
  const { port } = await supervisor.listen();
  return { port, supervisor };
}

const echo = async (link: Link): Promise<void> => {
  for await (const message of link) await link.send(message);
};

/** Open, and two messages there and back. */
async function opened(port: number): Promise<{ client: ForeignClient; wire: Wire }> {
  const client = new ForeignClient(port);
  const wire = client.dial();
  wire.write(client.hello(TYPE.hello, false));
  const { body } = await wire.expect(TYPE.welcome);
  expect(body[0]).toBe(0);
  expect(body.readUInt32BE(60)).toBe(300_000);
  client.take("one", "two");
  wire.write(client.confirm(body), client.ack(), client.data(0, 6), client.data(6, 14));
  await client.receiveUntil(wire, () => client.messages.length === 2);
  return { client, wire };
}

test("opens, is cut, resumes in the middle of a message, and closes", async () => {
  const { port } = await serve(echo);
  const { client, wire } = await opened(port);
  wire.socket.resetAndDestroy();

  client.take("three");
  const second = client.dial();
  second.write(client.hello(TYPE.hello, true));
  const { body } = await second.expect(TYPE.welcome);
  expect([body[0], position(body, 36)]).toEqual([1, 14]);
  // The last message once more: the overlap is dropped.
  second.write(client.confirm(body), client.ack(), client.data(7, 23, END));
  await client.receiveUntil(second, () => client.acked === 24 && client.received === 24);
  expect(client.messages).toEqual(["one", "two", "three"]);

  client.done = DONE;
  second.write(client.ack());
  await client.receiveUntil(second, () => (client.peerFlags & DONE) !== 0);
  expect(await second.next()).toBeUndefined();
});

test("stands by, and takes over", async () => {
  const { port } = await serve(echo);
  const { client, wire } = await opened(port);
  const standby = client.dial();
  standby.write(client.hello(TYPE.standby, true));
  await standby.expect(TYPE.ready);
  standby.write(client.ack(LATER.commit));
  const { body } = await standby.expect(LATER.committed);
  expect(position(body, 0)).toBe(14);
  while ((await wire.next()) !== undefined);
  client.take("three");
  standby.write(client.data(14, 23));
  await client.receiveUntil(standby, () => client.messages.length === 3);
});

test("falls back to another session when the server does not know the first", async () => {
  const { port } = await serve(echo);
  const client = new ForeignClient(port);
  client.session.incarnation = randomBytes(16);
  client.received = 1_000;
  const fallback = { id: randomBytes(16), secret: randomBytes(32), incarnation: ZEROS };
  const wire = client.dial();
  wire.write(client.hello(TYPE.hello, true, fallback));
  const { body } = await wire.expect(TYPE.welcome);
  expect(body[0]).toBe(2);
  client.session = fallback;
  client.received = 0;
  client.take("one");
  wire.write(client.confirm(body), client.ack(), client.data(0, 7));
  await client.receiveUntil(wire, () => client.messages.length === 1);
});

test.each<[string, number, string, (hello: Buffer) => void]>([
  ["another version", 3, "version 2 of the protocol, where this server has 1", (hello) => hello.writeUInt8(2, 8 + 4)],
  ["another mode", 3, 'mode "bytes", where this server has "messages"', (hello) => hello.writeUInt8(1, 8 + 5)],
  ["wrong credentials", 2, "", (hello) => void hello.write("?", 8 + 180)],
])("%s is refused for good", async (_, code, reason, spoil) => {
  const { port } = await serve(echo);
  const client = new ForeignClient(port);
  const wire = client.dial();
  const hello = client.hello(TYPE.hello, false);
  spoil(hello);
  wire.write(hello);
  if (reason !== "") expect((await wire.expect(LATER.reason)).body.toString()).toBe(reason);
  const { body } = await wire.expect(TYPE.refuse);
  expect(body.readUInt32BE(0)).toBe(code);
  expect(await wire.next()).toBeUndefined();
});

test("an unknown session without a fallback, a standby for it, a wrong proof and an old generation are refused", async () => {
  const { port } = await serve(echo);
  const { client } = await opened(port);
  const refusal = async (hello: Buffer): Promise<number> => {
    const wire = client.dial();
    wire.write(hello);
    return (await wire.expect(TYPE.refuse)).body.readUInt32BE(0);
  };
  const { session } = client;
  client.session = { ...session, id: randomBytes(16) };
  expect(await refusal(client.hello(TYPE.hello, true))).toBe(4);
  expect(await refusal(client.hello(TYPE.standby, true))).toBe(8);
  client.session = { ...session, secret: randomBytes(32) };
  expect(await refusal(client.hello(TYPE.hello, true))).toBe(2);
  client.session = session;
  client.counter = 0;
  expect(await refusal(client.hello(TYPE.hello, true))).toBe(5);
  client.instance.fill(9);
  expect(await refusal(client.hello(TYPE.hello, true))).toBe(1);
});

test("what cannot be is answered with RESET, a bad frame with silence", async () => {
  const { port } = await serve(echo);
  const { client, wire } = await opened(port);
  wire.write(frame(13, 0, u32(1_000)));
  while ((await wire.next()) !== undefined);
  const second = client.dial();
  client.received = 1_000;
  second.write(client.hello(TYPE.hello, true));
  const { body } = await second.expect(LATER.reset);
  expect(body.readUInt32BE(0)).toBe(4);
});

test("extensions are skipped everywhere, and a reader that has stopped says so", async () => {
  const { port } = await serve(async (link) => {
    await link.receive();
  });
  const client = new ForeignClient(port);
  const wire = client.dial();
  const extension = frame(200, 255, Buffer.alloc(1_000, 1));
  wire.write(extension, client.hello(TYPE.hello, false), extension);
  const { body } = await wire.expect(TYPE.welcome);
  client.take("one", "two");
  wire.write(client.confirm(body), extension, client.ack(), client.data(0, 14), extension);
  await client.receiveUntil(wire, () => (client.peerFlags & STOP) !== 0 && client.received === 1);
  expect(client.acked).toBe(7);
  // Its end is accepted, and it reads no more: both directions are through.
  client.done = DONE;
  wire.write(client.ack());
  await client.receiveUntil(wire, () => (client.peerFlags & DONE) !== 0);
  expect(await wire.next()).toBeUndefined();
});
