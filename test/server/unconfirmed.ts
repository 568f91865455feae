/** A session that its client has not confirmed, at a server in memory. */
import { newKeys } from "../../src/core/session/proof.ts";
import { encodeHello } from "../../src/core/wire/frames.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import type { Connection, ConnectionHandler } from "../../src/link/ports.ts";
import { confirmOf, openingOf } from "./raw-session.ts";
import type { Server } from "./served-sessions.ts";

/** A connection whose client is the test: it keeps what the server writes. */
class ByHand implements Connection {
  handler: ConnectionHandler = { onData: () => {}, onDrain: () => {}, onClosed: () => {} };
  readonly remoteAddress: string;
  readonly roomBytes = 65_536;
  readonly pendingBytes = 0;
  readonly written: Buffer[] = [];

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }

  write(buffers: readonly Buffer[]): boolean {
    this.written.push(...buffers);
    return false;
  }

  end(): void {}

  pause(): void {}

  resume(): void {}

  destroy(): void {}
}

/** Opens a session, as far as its WELCOME. The returned function makes the CONFIRM. */
export async function unconfirmed({
  sessions,
  clock,
  client,
}: Server): Promise<{ connection: ByHand; confirm: () => Buffer }> {
  const connection = new ByHand(client.address);
  const keys = newKeys(SYSTEM_ENTROPY);
  sessions.handshakes.accept(connection);
  connection.handler.onData(encodeHello("hello", openingOf(keys, "")));
  await clock.advance(0);
  return { connection, confirm: () => confirmOf(keys, Buffer.concat(connection.written)) };
}
