/**
 * The connection that is dialled to speak for the session, from its HELLO to the server's answer. There is one at a
 * time: the newest. After a reset a connection is dialled once, to tell the server.
 */
import type { Channel } from "../session/channel.ts";
import { frameMask } from "../wire/frame-rules.ts";

export const WELCOME_FRAMES: number = frameMask("welcome", "reason", "refuse", "reset", "ping", "pong");

export class Primary {
  /** The reason that the server gave for a refusal that follows; empty if it gave none. */
  reason = "";
  #channel: Channel | undefined;
  /** A connection has told the server of a reset, or will. */
  #tellsReset = false;

  /** Undefined if no HELLO is unanswered. */
  get channel(): Channel | undefined {
    return this.#channel;
  }

  /** A connection may still be dialled to tell the server of a reset. */
  get mayTellReset(): boolean {
    return !this.#tellsReset;
  }

  /** HELLO is about to be sent. `tellsReset`: the session was reset, and the connection is to tell the server. */
  opened(channel: Channel, tellsReset: boolean): void {
    this.#channel = channel;
    this.reason = "";
    if (tellsReset) this.#tellsReset = true;
  }

  /** The session was reset, and the HELLO that is unanswered leads to a connection that tells the server. */
  tellsReset(): void {
    this.#tellsReset = true;
  }

  /** The server has answered, or the connection is given up. */
  clear(): void {
    this.#channel = undefined;
  }
}
