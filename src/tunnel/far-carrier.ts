/** The far end's side of a link: it connects to the target of each connection that comes on it. */
import type { Socket } from "node:net";
import type { Link, LinkReport } from "../index.ts";
import type { Clock } from "../link/ports.ts";
import { Carrier, type CarrierOwner } from "./carrier.ts";
import { type Ending, Join, type JoinOwner } from "./join.ts";
import { objectRecord, type OpenRecord, readOpen, RECORD, record, RecordError, type RecordType } from "./records.ts";
import { TargetRefused } from "./targets.ts";

export interface FarCarrierHost {
  /** Connects to the target, and writes what has to stand before the connection. Rejects with a TargetRefused. */
  connect(open: OpenRecord, link: Link, signal: AbortSignal): Promise<Socket>;
  /** A connection begins. */
  onBusy(carrier: FarCarrier): void;
  /** The connection has ended in order: the link may carry another. */
  onFree(carrier: FarCarrier): void;
  onEnded(open: OpenRecord, link: Link, ending: Ending): void;
  onRefused(open: OpenRecord, link: Link, refused: TargetRefused): void;
  /** The link has ended. */
  onGone(carrier: FarCarrier): void;
}

export class FarCarrier implements CarrierOwner, JoinOwner {
  readonly link: Link;
  readonly #carrier: Carrier;
  readonly #host: FarCarrierHost;
  /** The link has ended. */
  #isGone = false;
  /** Aborted when the link ends while the target is being connected to. */
  #connecting: AbortController | undefined;
  #state: "free" | "connecting" | "joined" | "refused" = "free";
  #join: Join | undefined;
  /** What was asked for, of the connection that is joined. */
  #joined: OpenRecord | undefined;

  constructor(link: Link, host: FarCarrierHost, clock: Clock) {
    this.link = link;
    this.#carrier = new Carrier(link, clock);
    this.#host = host;
    this.#carrier.read(this);
  }

  onClosed(report: LinkReport): void {
    this.#isGone = true;
    this.#connecting?.abort();
    this.#join?.linkEnded(report);
    this.#host.onGone(this);
  }

  get isFree(): boolean {
    return this.#state === "free";
  }

  /** Ends the link, which is free, when the near end has all of the connection before. */
  finish(code: string): void {
    this.#carrier.finish(code);
  }

  onData(part: Buffer, isFollowed: boolean): void | Promise<void> {
    if (this.#state === "refused") return undefined;
    if (this.#join === undefined) throw new RecordError("DATA without a connection");
    return this.#join.write(part, isFollowed);
  }

  onRecord(type: RecordType, content: Buffer): void | Promise<void> {
    // The link ended while what came before was handled.
    if (this.#isGone) return undefined;
    switch (type) {
      case RECORD.open:
        if (this.#state !== "free") throw new RecordError("OPEN before the connection before it has ended");
        return this.#open(readOpen(content));
      case RECORD.end:
        if (this.#state === "refused") return this.#done();
        if (this.#join === undefined) throw new RecordError("END without a connection");
        return this.#join.end();
      default:
        throw new RecordError(`a record of type ${type} from the near end`);
    }
  }

  /** What comes behind OPEN waits until the target is connected. */
  async #open(open: OpenRecord): Promise<void> {
    this.#state = "connecting";
    this.#host.onBusy(this);
    const connecting = new AbortController();
    this.#connecting = connecting;
    let socket: Socket;
    try {
      // A client that does not read its answers is given no others.
      await this.#carrier.taken();
      socket = await this.#host.connect(open, this.link, connecting.signal);
    } catch (error) {
      if (!this.#isGone) this.#refuse(open, error as Error);
      return;
    } finally {
      this.#connecting = undefined;
    }
    this.#state = "joined";
    const join = new Join(socket, this.#carrier, this);
    this.#join = join;
    this.#joined = open;
    if (this.#isGone) return join.fail("the link has ended");
    this.#carrier.send(record(RECORD.opened));
    join.start();
  }

  onJoinEnded(ending: Ending): void {
    if (this.#joined !== undefined) this.#host.onEnded(this.#joined, this.link, ending);
    this.#joined = undefined;
    if (ending.isWhole) this.#done();
  }

  #refuse(open: OpenRecord, error: Error): void {
    const refused = error instanceof TargetRefused ? error : new TargetRefused("failed", error.message);
    this.#state = "refused";
    const { code, told } = refused;
    this.#carrier.send(objectRecord(RECORD.refused, { code, message: told }));
    this.#host.onRefused(open, this.link, refused);
  }

  #done(): void {
    this.#state = "free";
    this.#join = undefined;
    this.#carrier.send(record(RECORD.done));
    this.#host.onFree(this);
  }
}
