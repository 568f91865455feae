/** The object that an application holds of a plain link: a link that can also ask. */
import type { LinkEngine } from "../link/engine.ts";
import { LinkHandle } from "../link/link.ts";
import type {
  Link,
  Message,
  OnConnection,
  Payload,
  RequestOptions,
  SendOptions,
  TrySendOptions,
} from "../link/types.ts";

/**
 * A link to a peer that is not resplice. Nobody knows which messages the peer's application has accepted.
 *
 * @example
 * ```ts
 * const answer = await plainLink.request("temperature?", { signal: AbortSignal.timeout(5_000) });
 * console.log(String(answer));
 * ```
 */
export interface PlainLink extends Link {
  /**
   * The connection in use, for the option `onConnection`: a number that no other connection of the link has; undefined
   * while there is none, and during a login.
   */
  readonly connection: number | undefined;
  send(message: Payload, options?: SendOptions & OnConnection): Promise<void>;
  trySend(message: Payload, options?: TrySendOptions & OnConnection): boolean;
  /**
   * Sends, and resolves with the answer; needs `plain({ requests })`, and with `idOf` an id, else NOT_SUPPORTED. An
   * answer of several parts is one message with all of them: see requestParts(). Aborted, a request that was written
   * keeps its place, and its answer is dropped. Rejects as send() does, and CONNECTION_LOST with `delivery` "maybe":
   * written, and not answered.
   */
  request(message: Payload, options?: RequestOptions): Promise<Message>;
  /** As request(), and resolves with all parts of the answer: those that `classify` called "more", and the last. */
  requestParts(message: Payload, options?: RequestOptions): Promise<Message[]>;
}

/** The open payload of every plain link: other protocols have none. */
export const NO_PAYLOAD: Buffer = Buffer.alloc(0);

export class PlainLinkHandle extends LinkHandle implements PlainLink {
  readonly #engine: LinkEngine;

  constructor(engine: LinkEngine) {
    super(engine);
    this.#engine = engine;
  }

  get connection(): number | undefined {
    return this.#engine.protocol.adopted?.id;
  }

  request(message: Payload, options?: RequestOptions): Promise<Message> {
    return this.#engine.outgoing.request(message, options).then(whole);
  }

  requestParts(message: Payload, options?: RequestOptions): Promise<Message[]> {
    return this.#engine.outgoing.request(message, options) as Promise<Message[]>;
  }
}

function whole(parts: readonly Buffer[]): Message {
  return (parts.length === 1 ? parts[0] : Buffer.concat(parts)) as Message;
}
