/** A client made by hand, that says what no client of ours would. */
import { once } from "node:events";
import {
  encodeConfirm,
  encodeHello,
  encodePositionsFrame,
  type Hello,
  PROTOCOL_VERSION,
} from "../../src/core/wire/frames.ts";
import {
  confirmMac,
  encodeProvenHello,
  newId,
  newKeys,
  NO_INCARNATION,
  secretBytes,
  type SessionKeys,
} from "../../src/core/session/proof.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import { type RawClient, rawClient } from "../support.ts";

/** Where a WELCOME has its incarnation and its nonce. */
const INCARNATION_AT = 12;
const NONCE_AT = 28;
const NONCE_BYTES = 16;

export interface RawSession extends RawClient {
  /** Acknowledges so much, true or not, and gives credit for as much again as `window`. */
  acknowledge(accepted: number, window: number): void;
  /** Resumes on another connection, stating that so much was received. */
  resume(received: number): Promise<RawClient>;
}

/** Opens a session that is never confirmed; resolves when it was answered. */
export async function unconfirmed(port: number): Promise<RawClient> {
  const client = await rawClient(port);
  client.socket.write(encodeHello("hello", openingOf(newKeys(SYSTEM_ENTROPY), "")));
  await once(client.socket, "data");
  return client;
}

/** The CONFIRM that answers the WELCOME. */
export function confirmOf(keys: SessionKeys, welcome: Buffer): Buffer {
  const incarnation = welcome.toString("hex", INCARNATION_AT, NONCE_AT);
  const nonce = welcome.subarray(NONCE_AT, NONCE_AT + NONCE_BYTES);
  return encodeConfirm(confirmMac(SYSTEM_ENTROPY, keys, incarnation, nonce));
}

export function openingOf(keys: SessionKeys, openPayload: string): Hello {
  return {
    version: PROTOCOL_VERSION,
    mode: "messages",
    resume: false,
    sessionId: keys.id,
    incarnation: NO_INCARNATION,
    generation: { epoch: 1, counter: 1 },
    instance: newId(SYSTEM_ENTROPY),
    positions: { received: 0, accepted: 0, window: 0, stop: false, done: false },
    maxMessageBytes: 1 << 20,
    secretOrProof: secretBytes(keys.secret),
    fallback: undefined,
    credentials: Buffer.alloc(0),
    openPayload: Buffer.from(openPayload),
  };
}

export async function rawSession(port: number, openPayload = ""): Promise<RawSession> {
  const keys = newKeys(SYSTEM_ENTROPY);
  const client = await rawClient(port);
  const opening = openingOf(keys, openPayload);
  client.socket.write(encodeHello("hello", opening));
  const [welcome] = (await once(client.socket, "data")) as [Buffer];
  client.socket.write(confirmOf(keys, welcome));
  return Object.assign(client, {
    acknowledge(accepted: number, window: number): void {
      const positions = { received: accepted, accepted, window, stop: false, done: false };
      client.socket.write(encodePositionsFrame("ack", positions));
    },
    async resume(received: number): Promise<RawClient> {
      const again = await rawClient(port);
      const positions = { received, accepted: 0, window: 0, stop: false, done: false };
      const incarnation = welcome.toString("hex", INCARNATION_AT, NONCE_AT);
      const generation = { epoch: 1, counter: 2 };
      const resuming = { ...opening, resume: true, incarnation, generation, positions, secretOrProof: Buffer.alloc(0) };
      again.socket.write(encodeProvenHello(SYSTEM_ENTROPY, "hello", resuming, keys.secret));
      return again;
    },
  });
}
