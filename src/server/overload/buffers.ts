/**
 * "bufferBytes": the memory that all links share (`limits.bufferBytes`), of the direction that has used more of its
 * half. The guaranteed minimum of each link is not counted. Incoming, that is what clients have under way above it, and
 * not the windows that they were given: those are lent out as far as they go, whether anybody uses them or not.
 * Outgoing, it is the logs with all queues.
 */
import type { Observed, Reader } from "../../io/resources/reader.ts";
import type { SharedPart } from "../served-links.ts";

export class Buffers implements Reader {
  readonly name = "bufferBytes";
  readonly #served: { readonly sharedMemory: readonly [SharedPart, SharedPart] };

  constructor(served: { readonly sharedMemory: readonly [SharedPart, SharedPart] }) {
    this.#served = served;
  }

  read(): Observed {
    const [incoming, outgoing] = this.#served.sharedMemory;
    const { bytes, most } = outgoing.bytes * incoming.most > incoming.bytes * outgoing.most ? outgoing : incoming;
    return { observed: bytes, limit: most };
  }

  close(): void {}
}
