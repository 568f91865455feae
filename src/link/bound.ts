/** Messages that are for one connection alone. */
import type { Outbound, Until } from "./protocol.ts";

/** Counts such messages where they wait: while all of them are for the connection in use, none has to be looked at. */
export class BoundCount {
  #count = 0;
  /** The connection that all of them are for; undefined if they are for several. */
  #connection: number | undefined;

  /** `boundTo`: the connection that a message is for which waits from now on; undefined: any. */
  add(boundTo: number | undefined): void {
    if (boundTo === undefined) return;
    if (this.#count === 0) this.#connection = boundTo;
    else if (this.#connection !== boundTo) this.#connection = undefined;
    this.#count++;
  }

  /** The message waits no more. */
  remove(boundTo: number | undefined): void {
    if (boundTo !== undefined) this.#count--;
  }

  /** A message waits, or may wait, that is for another connection than the one in use. The caller takes these out. */
  hasOthers(id: number | undefined): boolean {
    if (this.#count === 0 || (id !== undefined && id === this.#connection)) return false;
    this.#connection = id;
    return true;
  }
}

/** Takes a message as `take()` does, with what that throws; `isBound`: for the connection in use alone. */
export function takeInto(
  outbound: Outbound,
  payload: Uint8Array | string,
  bytes: number,
  given: boolean,
  until: Until,
  isBound: boolean,
): void {
  outbound.take(payload, bytes, given, until);
  if (isBound) outbound.bind?.();
}
