/**
 * The proofs that a client may speak for a session: one over the whole HELLO or STANDBY with its secret, and the MAC of
 * CONFIRM over the nonce of WELCOME. Secrets travel once, in an open (or as a fallback's), and never again.
 */
import {
  encodeHello,
  type Generation,
  type Hello,
  type HelloFrame,
  HELLO_PROOF_AT,
  ID_BYTES,
  PROOF_BYTES,
  SECRET_BYTES,
  SERVER_ID_BYTES,
} from "../wire/frames.ts";

/** The randomness and the cryptography that the core is given; in the simulation the randomness is seeded. */
export interface Entropy {
  /** HMAC-SHA-256 over the parts in order: 32 bytes. */
  hmac(key: Buffer, parts: readonly Buffer[]): Buffer;
  /** In constant time; false for other lengths. */
  equal(a: Buffer, b: Buffer): boolean;
  randomBytes(bytes: number): Buffer;
  /** In [0, 1), for jitter. */
  random(): number;
}

/** Ids are hexadecimal; a secret is a latin1 string, which takes a tenth of the memory of a Buffer. */
export interface SessionKeys {
  readonly id: string;
  readonly secret: string;
}

export const NO_INCARNATION: string = "0".repeat(2 * ID_BYTES);
const HELLO_LABEL = Buffer.from("resplice hello 1\0");
const CONFIRM_LABEL = Buffer.from("resplice confirm 1\0");

export function newId(entropy: Entropy): string {
  return entropy.randomBytes(ID_BYTES).toString("hex");
}

/** Names a server, from its start to its end. */
export function newServerId(entropy: Entropy): string {
  return entropy.randomBytes(SERVER_ID_BYTES).toString("hex");
}

/** Of a session that the server opens. It names the server; the rest is random. */
export function newIncarnation(entropy: Entropy, serverId: string): string {
  return serverId + newId(entropy).slice(serverId.length);
}

/** The server that has opened the session. A peer can state any other, so it says only where to ask. */
export function serverIdOf(incarnation: string): string {
  return incarnation.slice(0, 2 * SERVER_ID_BYTES);
}

export function newKeys(entropy: Entropy): SessionKeys {
  return { id: newId(entropy), secret: entropy.randomBytes(SECRET_BYTES).toString("latin1") };
}

export function secretBytes(secret: string): Buffer {
  return Buffer.from(secret, "latin1");
}

/** A HELLO or STANDBY frame with its proof in place, for a resume. */
export function encodeProvenHello(entropy: Entropy, type: "hello" | "standby", hello: Hello, secret: string): Buffer {
  const frame = encodeHello(type, hello);
  helloProof(entropy, frame, secret).copy(frame, HELLO_PROOF_AT);
  return frame;
}

export function isProven(entropy: Entropy, frame: Buffer, hello: Hello, secret: string): boolean {
  return entropy.equal(hello.secretOrProof, helloProof(entropy, frame, secret));
}

/** The parts of a session that a resume or STANDBY is compared with. */
export interface Provable {
  readonly keys: SessionKeys;
  readonly incarnation: string;
  readonly openPayload: Buffer;
}

/**
 * Whether the frame is for this session, and proves that its client knows the secret. A HELLO with a fallback states
 * the open payload, which has to be this session's: the client was authorised for one payload. Without a fallback, and
 * always in STANDBY, it may be left out.
 */
export function isFor(entropy: Entropy, said: HelloFrame, session: Provable): boolean {
  const { raw, hello } = said;
  const { fallback, openPayload, incarnation } = hello;
  if (!hello.resume || incarnation !== session.incarnation) return false;
  if (!isProven(entropy, raw, hello, session.keys.secret)) return false;
  return (fallback === undefined && openPayload.length === 0) || openPayload.equals(session.openPayload);
}

/** HMAC over the label and the whole frame, header included, with zeros where the proof stands. */
function helloProof(entropy: Entropy, frame: Buffer, secret: string): Buffer {
  return entropy.hmac(secretBytes(secret), [
    HELLO_LABEL,
    frame.subarray(0, HELLO_PROOF_AT),
    Buffer.alloc(PROOF_BYTES),
    frame.subarray(HELLO_PROOF_AT + PROOF_BYTES),
  ]);
}

/** HMAC over the label, the session's id, its incarnation and the nonce of the WELCOME that is answered. */
export function confirmMac(entropy: Entropy, keys: SessionKeys, incarnation: string, nonce: Buffer): Buffer {
  const ids = Buffer.from(keys.id + incarnation, "hex");
  return entropy.hmac(secretBytes(keys.secret), [CONFIRM_LABEL, ids, nonce]);
}

/** The owner of a session: one process (epoch, instance) and the counter of its newest connection. */
export interface Owner extends Generation {
  instance: string;
}

/** The owner that a HELLO states. */
export function ownerOf({ generation: { epoch, counter }, instance }: Hello): Owner {
  return { epoch, counter, instance };
}

/** May `candidate` take over from `owner`? A lower epoch, or another process of the same epoch, never may. */
export function compareOwners(candidate: Owner, owner: Owner): "newer" | "stale" | "taken-over" {
  if (candidate.epoch > owner.epoch) return "newer";
  if (candidate.epoch < owner.epoch || candidate.instance !== owner.instance) return "taken-over";
  return candidate.counter > owner.counter ? "newer" : "stale";
}
