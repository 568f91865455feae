/** The near end's side of a link: it opens connections to targets on it, one after another. */
import type { Socket } from "node:net";
import type { Link, LinkReport, LinkState } from "../index.ts";
import type { Clock, Timer } from "../link/ports.ts";
import { Carrier, type CarrierOwner } from "./carrier.ts";
import { type Ending, Join, type JoinOwner, reset, whyLinkEnded } from "./join.ts";
import { objectRecord, type OpenRecord, RECORD, readRefused, record, RecordError, type RecordType } from "./records.ts";

/** The application waits so long until it is connected, and then is reset. Later it has the patience of the link. */
const CONNECT_MS = 10_000;

export interface NearCarrierHost {
  /** The link is not connected any more, or about to end. */
  onAway(carrier: NearCarrier): void;
  /** The link is free for another connection. */
  onFree(carrier: NearCarrier): void;
  /** The link has ended, and the connection that it carried is over. */
  onGone(carrier: NearCarrier): void;
}

interface Call {
  readonly socket: Socket;
  readonly join: Join;
  /** Undefined once there is an answer. */
  deadline: Timer | undefined;
  /** The far end's answer: undefined as long as there is none. */
  answer: "opened" | "refused" | undefined;
  /** The far end has said that it has nothing left of the connection. */
  isDone: boolean;
  /** How the connection ended here; undefined as long as it has not. */
  ending: Ending | undefined;
  /** Is told how it ended, once. */
  onEnded: ((ending: Ending) => void) | undefined;
}

export class NearCarrier implements CarrierOwner, JoinOwner {
  readonly #carrier: Carrier;
  readonly #host: NearCarrierHost;
  readonly createdMs: number;
  #call: Call | undefined;
  /** How the link ended. */
  #gone: LinkReport | undefined;

  constructor(link: Link, host: NearCarrierHost, clock: Clock) {
    this.#carrier = new Carrier(link, clock);
    this.#host = host;
    this.createdMs = clock.now();
    this.#carrier.read(this);
  }

  onClosed(report: LinkReport): void {
    this.#gone = report;
    const call = this.#call;
    // What the far end is done with is all here: the application may be slow to take it.
    if (call?.ending === undefined && call?.isDone === false) call.join.linkEnded(report);
    else this.#look();
  }

  get link(): Link {
    return this.#carrier.link;
  }

  /**
   * Carries a connection. `onEnded` is called once: of a connection that ended in order here, when the far end says that
   * it has nothing left of it.
   */
  connect(socket: Socket, open: OpenRecord, onEnded: (ending: Ending) => void): void {
    const { clock } = this.#carrier;
    const join = new Join(socket, this.#carrier, this);
    const call: Call = {
      socket,
      join,
      deadline: clock.timer(() => join.fail(`the far end has not connected within ${CONNECT_MS / 1_000} s`)),
      answer: undefined,
      isDone: false,
      ending: undefined,
      onEnded,
    };
    call.deadline?.set(clock.now() + CONNECT_MS);
    this.#call = call;
    this.#carrier.send(objectRecord(RECORD.open, open));
    join.start();
  }

  onJoinEnded(ending: Ending): void {
    if (this.#call === undefined) return;
    endDeadline(this.#call);
    this.#call.ending = ending;
    this.#look();
  }

  /** Ends the connection, if there is one, with a reset. */
  fail(reason: string): void {
    this.#call?.join.fail(reason);
  }

  abort(code: string): void {
    this.#carrier.abort(code);
  }

  onState(to: LinkState): void {
    if (to !== "connected" && to !== "connecting") this.#host.onAway(this);
  }

  onData(part: Buffer, isFollowed: boolean): void | Promise<void> {
    if (this.#call?.answer !== "opened") throw new RecordError("DATA before OPENED");
    return this.#call.join.write(part, isFollowed);
  }

  onRecord(type: RecordType, content: Buffer): void {
    const call = this.#call;
    if (call === undefined) throw new RecordError("a record without a connection");
    switch (type) {
      case RECORD.opened:
      case RECORD.refused:
        if (call.answer !== undefined) throw new RecordError("a second answer");
        endDeadline(call);
        if (type === RECORD.refused) return this.#refused(call, content);
        call.answer = "opened";
        return;
      case RECORD.end:
        if (call.answer !== "opened") throw new RecordError("END before OPENED");
        return call.join.end();
      case RECORD.done:
        if (call.answer !== "refused" && !call.join.haveBothEnded) throw new RecordError("DONE before both ENDs");
        call.isDone = true;
        return this.#look();
      default:
        throw new RecordError(`a record of type ${type} from the far end`);
    }
  }

  /** The socket is reset, and the link goes on: the far end waits for the END of what was sent for this connection. */
  #refused(call: Call, content: Buffer): void {
    const { code, message } = readRefused(content);
    call.answer = "refused";
    call.join.refuse(`${code}: ${message}`);
    if (!call.join.hasEnded) this.#carrier.send(record(RECORD.end));
    reset(call.socket);
  }

  /** Something has ended: the connection here, that at the far end, or the link. */
  #look(): void {
    const [call, gone] = [this.#call, this.#gone];
    if (call !== undefined) {
      const { ending, isDone, onEnded } = call;
      if (ending === undefined) return;
      const isCut = ending.isWhole && !isDone;
      if (isCut && gone === undefined) return;
      call.onEnded = undefined;
      onEnded?.(isCut && gone !== undefined ? { ...ending, isWhole: false, reason: whyLinkEnded(gone) } : ending);
      if (gone === undefined && !isDone) return;
      this.#call = undefined;
    }
    if (gone === undefined) this.#host.onFree(this);
    else this.#host.onGone(this);
  }
}

/** The timer goes with it: very many connections are open, and few wait for an answer. */
function endDeadline(call: Call): void {
  call.deadline?.clear();
  call.deadline = undefined;
}
