/** What each of the others is made to do, in the way its users would: with its defaults and its own backpressure. */
export interface Peer {
  /** Hands on each message as it comes. Answers the port to connect to: its own, or the broker's. */
  receive(take: (message: Buffer) => void, brokerPort: number): Promise<number>;
  /** Sends until there is nothing more, and resolves when all of it has left. */
  send(next: () => Buffer | undefined, port: number): Promise<void>;
}

export const HOST = "127.0.0.1";
/**
 * For senders that are slower than the kernel: they find room always, and would never come to the end of a turn of the
 * event loop. After so many messages they end it by themselves.
 */
export const A_TURN = 500;

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Of those that confirm each message: so many unconfirmed at a time. */
export const IN_FLIGHT = 1_000;
