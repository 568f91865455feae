/** Pairs in memory whose client has a queue with a policy. */
import { expect } from "vitest";
import type { Link, QueueOptions, Undelivered } from "../../src/index.ts";
import type { LinkPair } from "../../src/testing/index.ts";
import { paired } from "../testing/paired.ts";

export interface Away extends LinkPair {
  /** What 'undelivered' said: the reason, and each message with what is known of it. */
  readonly events: Array<[string, string[]]>;
  /** What the server's consumer was handed. */
  readonly got: string[];
  /** The path is whole again, and the client is back. */
  back(): Promise<void>;
}

export function connected(queue: QueueOptions, other: object = {}): Away {
  const pair = paired({ client: { queue, ...other } });
  const events: Array<[string, string[]]> = [];
  pair.client.on("undelivered", ({ reason, messages }: Undelivered) => {
    events.push([reason, messages.map(({ message, delivery }) => `${message.toString()} ${delivery}`)]);
  });
  const got: string[] = [];
  pair.server.onMessage((message) => void got.push(message.toString()));
  const back = async (): Promise<void> => {
    pair.path.heal();
    pair.client.retryNow();
    await pair.clock.advance(200);
  };
  return Object.assign(pair, { events, got, back });
}

/** The client has no connection, and gets none. */
export async function away(queue: QueueOptions, other: object = {}): Promise<Away> {
  const pair = connected(queue, other);
  await loseConnection(pair);
  return pair;
}

export async function loseConnection({ path, clock, client }: LinkPair): Promise<void> {
  path.cut("rst");
  path.refuse();
  await clock.advance(0);
  expect(client.state).toBe("reconnecting");
}

export function sendAll(link: Link, ...texts: string[]): void {
  for (const text of texts) expect(link.trySend(text)).toBe(true);
}
