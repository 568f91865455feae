/** What each contender is made to do under faults, in the way that its documentation recommends. */
export interface Contender {
  /** Hands on each message as it comes. */
  receive(take: (message: Buffer) => void, at: Place): Promise<Receiving>;
  /** Resolves when it is connected for the first time. */
  connect(at: Place): Promise<Sending>;
}

export interface Place {
  /** Where the path leads in, or the broker. 0 for a receiver that listens itself. */
  port: number;
  /** Of a stream or a topic: what no other run at the same broker uses. Letters, digits and hyphens. */
  name: string;
}

export interface Receiving {
  /** Where the sender is to go: the receiver's own port, or the broker's. */
  port: number;
  /** Of those that share a process with something else. */
  close?: () => Promise<void>;
}

export interface Sending {
  /** Takes each message, whatever the connection is doing. */
  send(message: Buffer): void;
  close?: () => Promise<void>;
}

/**
 * All contenders ask for a sign of life about every second, and give a connection up after about two without one, as near
 * to that as their options allow.
 */
export const PING_MS = 1_000;
export const DEAD_MS = 2_000;
