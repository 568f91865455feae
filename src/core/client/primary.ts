/**
 * The connection that is dialled to speak for the session, from its HELLO to the server's answer. There is one at a
 * time: the newest. After a reset a connection is dialled only to tell the server, and only so often.
 */
import type { Channel } from "../session/channel.ts";

export class Primary {
  /** The reason that the server gave for a refusal that follows; empty if it gave none. */
  reason = "";
  #channel: Channel | undefined;
  #resetsLeft = 1;

  /** Undefined if no HELLO is unanswered. */
  get channel(): Channel | undefined {
    return this.#channel;
  }

  /** A connection may still be dialled to tell the server of a reset. */
  get mayTellReset(): boolean {
    return this.#resetsLeft > 0;
  }

  /** HELLO is about to be sent. `tellsReset`: the session was reset, and the connection is to tell the server. */
  opened(channel: Channel, tellsReset: boolean): void {
    this.#channel = channel;
    this.reason = "";
    if (tellsReset) this.#resetsLeft--;
  }

  /** The session was reset, and the HELLO that is unanswered leads to a connection that tells the server. */
  tellsReset(): void {
    this.#resetsLeft = 0;
  }

  /** The server has answered, or the connection is given up. */
  clear(): void {
    this.#channel = undefined;
  }
}
