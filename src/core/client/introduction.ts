/**
 * How a client introduces itself: it opens a session, or resumes the one it knows and names another to fall back to.
 * This class keeps what the server's answers say about that.
 */
import { type Fault, fault } from "../wire/faults.ts";
import {
  encodeConfirm,
  encodeHello,
  type Hello,
  type Mode,
  PROTOCOL_VERSION,
  type RefuseCode,
  type Welcome,
} from "../wire/frames.ts";
import {
  confirmMac,
  encodeProvenHello,
  type Entropy,
  newKeys,
  secretBytes,
  type SessionKeys,
} from "../session/proof.ts";
import type { Outcome } from "../session/link-events.ts";
import type { Session } from "../session/session.ts";

export interface IntroductionOptions {
  mode: Mode;
  maxMessageBytes: number;
  /** Identifies the process. */
  instance: string;
  /** The epoch of the process: raised when an outbox is reopened, 1 without an outbox. */
  epoch: number;
  openPayload: Buffer;
}

export class ClientIntroduction {
  /** A WELCOME made the session known: it is resumed from now on, not opened. */
  known = false;
  /** The server has sent something after our CONFIRM, so it has received that. */
  confirmed = false;
  /** Rises with each HELLO and STANDBY, over all sessions of the link. */
  #counter = 0;
  /** The session to fall back to: the same in each attempt, until a WELCOME makes it the session. */
  #fallback: SessionKeys | undefined;
  readonly #options: IntroductionOptions;
  readonly #entropy: Entropy;

  constructor(options: IntroductionOptions, entropy: Entropy) {
    this.#options = options;
    this.#entropy = entropy;
  }

  hello(type: "hello" | "standby", session: Session, credentials: Buffer, offersFallback: boolean): Buffer {
    const { mode, maxMessageBytes, instance, epoch, openPayload } = this.#options;
    const resume = type === "standby" || this.known;
    this.#counter++;
    const hello: Hello = {
      version: PROTOCOL_VERSION,
      mode,
      resume,
      sessionId: session.keys.id,
      incarnation: session.incarnation,
      generation: { epoch, counter: this.#counter },
      instance,
      positions: session.positions(),
      maxMessageBytes,
      secretOrProof: resume ? Buffer.alloc(0) : secretBytes(session.keys.secret),
      fallback: undefined,
      credentials,
      openPayload,
    };
    if (!resume) return encodeHello(type, hello);
    if (type === "hello" && offersFallback) {
      this.#fallback ??= newKeys(this.#entropy);
      hello.fallback = { id: this.#fallback.id, secret: secretBytes(this.#fallback.secret) };
    }
    return encodeProvenHello(this.#entropy, type, hello, session.keys.secret);
  }

  /** Answers a fault if this WELCOME cannot be the answer to our HELLO. */
  checkWelcome(welcome: Welcome, session: Session): Fault | undefined {
    if (welcome.result === "new" && this.known) return fault("bad-frame", "WELCOME new to a resume");
    if (welcome.result !== "new" && !this.known) return fault("bad-frame", `WELCOME ${welcome.result} to an open`);
    if (welcome.result === "lost" && this.#fallback === undefined) {
      return fault("bad-frame", "WELCOME lost without a fallback");
    }
    // The smaller of what both ends take cannot be above our own.
    const { maxMessageBytes } = welcome;
    if (maxMessageBytes === 0 || maxMessageBytes > this.#options.maxMessageBytes) {
      return fault("bad-frame", `WELCOME with a largest message of ${maxMessageBytes} bytes`);
    }
    if (welcome.result === "resumed" && welcome.incarnation !== session.incarnation) {
      return fault("impossible-position", "another incarnation of the session");
    }
    return undefined;
  }

  /** The server has fallen back: the next resume offers a fallback of its own. */
  takeFallback(): SessionKeys {
    const keys = this.#fallback;
    if (keys === undefined) throw new Error("no fallback was offered");
    this.#fallback = undefined;
    return keys;
  }

  /** The server has made the session. */
  opened(): void {
    this.known = true;
    this.confirmed = false;
  }

  /** The session is lost: the next attempt opens another. */
  startAnew(): void {
    this.#fallback = undefined;
    this.known = false;
    this.confirmed = false;
  }

  confirm(session: Session, nonce: Buffer): Buffer {
    return encodeConfirm(confirmMac(this.#entropy, session.keys, session.incarnation, nonce));
  }
}

/** REFUSE codes that end the link. After any other the client dials again. */
export const TERMINAL_REFUSALS: Readonly<Partial<Record<RefuseCode, { outcome: Outcome; detail: string }>>> = {
  "taken-over": { outcome: "taken-over", detail: "another process has taken the session over" },
  authentication: {
    outcome: "authentication-refused",
    detail: "the server refused the credentials, or the session belongs to another",
  },
  mismatch: { outcome: "mismatch", detail: "the server has another version of the protocol or another mode" },
};
