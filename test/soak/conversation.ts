/** One end of a link, whichever: it talks until it is told to stop, hears all that the other end says, and keeps account. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { KiB, type Link, type LinkReport } from "../../src/index.ts";
import { Draw } from "../fuzz/draw.ts";
import { message, Received, streamPiece } from "./flow.ts";
import type { Account, Kind } from "./kinds.ts";

/** Accepted after so many bytes, or when nothing more is here. */
const BATCH_BYTES = 64 * KiB;

export interface End {
  id: number;
  kind: Kind;
  side: "client" | "server";
  link: Link;
  /** To be told when the talking is to stop; a server stops when its client has. */
  stop: AbortSignal | undefined;
  /** Given to each wait of this process: none may leave a listener behind. */
  never: AbortSignal;
}

export async function converse(end: End): Promise<Account> {
  const conversation = new Conversation(end);
  return conversation.run();
}

class Conversation {
  readonly #end: End;
  readonly #draw: Draw;
  readonly #flow: number;
  readonly #received: Received;
  readonly #problems: string[] = [];
  readonly #sent = { messages: 0, bytes: 0 };
  /** The other end says nothing more. */
  readonly #heard = new AbortController();

  constructor(end: End) {
    this.#end = end;
    const number = 2 * end.id + (end.side === "client" ? 0 : 1);
    this.#flow = number;
    this.#draw = new Draw(number);
    this.#received = new Received(2 * end.id + (end.side === "client" ? 1 : 0));
    end.link.on("undelivered", ({ messages, reason }) =>
      this.#problems.push(`${messages.length} undelivered: ${reason}`),
    );
  }

  async run(): Promise<Account> {
    const { link, kind, id } = this.#end;
    const { sessionId } = link;
    try {
      await (kind === "duplex" ? this.#stream() : this.#messages());
    } catch (error) {
      this.#problems.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    }
    const report = await link.close({ deadlineMs: 30_000 });
    this.#check(report, sessionId);
    const { messages, bytes, problem } = this.#received;
    if (problem !== undefined) this.#problems.push(problem);
    const { reconnects } = link.stats();
    return { id, kind, sent: this.#sent, received: { messages, bytes }, reconnects, problems: this.#problems };
  }

  #check({ error, undelivered }: LinkReport, sessionId: string): void {
    if (error !== undefined) this.#problems.push(`it ended with ${error.code}: ${error.message}`);
    if (undelivered.length > 0) this.#problems.push(`${undelivered.length} messages were not delivered`);
    if (this.#end.link.sessionId !== sessionId) this.#problems.push("the session was lost");
  }

  async #messages(): Promise<void> {
    const { link, never } = this.#end;
    const talked = this.#talk((bytes) => this.#send(bytes));
    const heard = this.#hear().finally(() => this.#heard.abort());
    await talked;
    link.end();
    await heard;
    await link.flush({ signal: never });
  }

  /** Bursts and pauses, until it is told to stop, or the other end has stopped. */
  async #talk(send: (bytes: Buffer) => Promise<void>): Promise<void> {
    const signal = this.#end.stop ?? this.#heard.signal;
    const draw = this.#draw;
    while (!signal.aborted) {
      for (let burst = draw.between(1, 10); burst > 0; burst--) {
        const bytes = message(this.#flow, this.#sent.messages);
        await send(bytes);
        this.#sent.messages++;
        this.#sent.bytes += bytes.length;
      }
      await sleep(draw.between(5, 150), undefined, { signal }).catch(() => {});
    }
  }

  async #send(bytes: Buffer): Promise<void> {
    const { link, kind, never } = this.#end;
    // What is given away must not change, and does not: each message has a buffer of its own.
    const options = { transfer: this.#sent.messages % 3 === 0 };
    switch (kind) {
      case "trySend, onMessage":
        while (!link.trySend(bytes, options)) await link.ready({ signal: never });
        return;
      case "until accepted, receive": {
        const waits = this.#sent.messages % 20 === 0;
        await link.send(bytes, { ...options, signal: never, until: waits ? "accepted" : "taken" });
        if (this.#sent.messages % 50 === 0) await link.flush({ signal: never });
        return;
      }
      default:
        await link.send(bytes, { ...options, signal: never });
    }
  }

  async #hear(): Promise<void> {
    const { link, kind, never } = this.#end;
    switch (kind) {
      case "trySend, onMessage":
        link.onMessage((got) => this.#received.message(got));
        await new Promise<void>((resolve) => {
          link.once("end", () => resolve());
          void link.closed.then(() => resolve());
        });
        return;
      case "until accepted, receive":
        for (let got = await link.receive(); got !== null; got = await link.receive({ signal: never })) {
          this.#received.message(got);
        }
        return;
      case "manual acceptance":
        return this.#hearInBatches();
      default:
        for await (const got of link) this.#received.message(got);
    }
  }

  async #hearInBatches(): Promise<void> {
    const { link } = this.#end;
    let bytes = 0;
    for await (const got of link) {
      this.#received.message(got);
      bytes += got.length;
      if (bytes < BATCH_BYTES && link.readableLength > 0) continue;
      link.accept(link.position);
      bytes = 0;
    }
  }

  async #stream(): Promise<void> {
    const stream = this.#end.link.duplex();
    stream.on("data", (piece: Buffer) => this.#received.piece(piece));
    const heard = once(stream, "end").finally(() => this.#heard.abort());
    const signal = this.#end.stop ?? this.#heard.signal;
    while (!signal.aborted) {
      const piece = streamPiece(this.#flow, this.#sent.bytes, this.#draw.between(1, 12_000));
      this.#sent.bytes += piece.length;
      if (!stream.write(piece)) await once(stream, "drain");
      await sleep(this.#draw.between(5, 100), undefined, { signal }).catch(() => {});
    }
    stream.end();
    await Promise.all([heard, once(stream, "finish")]);
  }
}
