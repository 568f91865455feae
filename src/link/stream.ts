/** The one stream of a link in mode "bytes": what duplex() or what socket() answers. */
import { LinkDuplex } from "./duplex.ts";
import { RespliceError } from "./errors.ts";
import type { Incoming } from "./incoming.ts";
import { throwLater } from "./life.ts";
import type { ResolvedLinkOptions } from "./options.ts";
import type { Outgoing } from "./outgoing.ts";
import { LinkSocket, type SocketLink } from "./socket.ts";

export interface StreamLink extends SocketLink {
  readonly outgoing: Outgoing;
  readonly incoming: Pick<Incoming, "occupyForStream">;
}

export class LinkStream {
  readonly #link: StreamLink;
  readonly #stream: LinkDuplex | LinkSocket;

  constructor(kind: "duplex" | "socket", link: StreamLink, options: ResolvedLinkOptions) {
    if (options.mode !== "bytes") {
      throw new RespliceError("NOT_SUPPORTED", `${kind}() needs the option mode: "bytes"`);
    }
    const { outgoing, incoming } = link;
    const input = incoming.occupyForStream(kind);
    this.#link = link;
    this.#stream =
      kind === "socket"
        ? new LinkSocket(link, outgoing, input, options)
        : new LinkDuplex(link, outgoing, input, options);
  }

  duplex(): LinkDuplex {
    if (this.#stream instanceof LinkSocket) throw readAlready("socket");
    return this.#stream;
  }

  socket(): LinkSocket {
    if (this.#stream instanceof LinkSocket) return this.#stream;
    throw readAlready("duplex");
  }

  /** Ends this direction behind everything that was written. */
  end(): void {
    this.#stream.end();
  }

  get isHeld(): boolean {
    return this.#stream.isHeld;
  }

  /** The link has a connection, its first or another. */
  connected(): void {
    if (this.#stream instanceof LinkSocket) this.#stream.connected();
  }

  /** The stream calls listeners of the application within a step. An error that they throw must not stop the step. */
  progress(): void {
    try {
      this.#stream.progress();
    } catch (error) {
      throwLater(this.#link.driver.clock, error);
    }
  }
}

/** A link has one consumer, and 'finish' and destroy() of the two streams mean different things. */
function readAlready(kind: "duplex" | "socket"): RespliceError {
  return new RespliceError("CONSUMER_BUSY", `the link is being read already (${kind})`);
}
