/**
 * What a server keeps of its sessions beyond its own life: acceptance that is committed late, and messages that are
 * durable late. Restarted, it goes back to that, and what was accepted but not committed is handed out again. The store
 * is somebody else's: what a dead process has asked for may still arrive there, and is refused by its token.
 */
import { encodeConfirm, encodeHello } from "../../src/core/wire/frames.ts";
import {
  compareOwners,
  confirmMac,
  type Entropy,
  NO_INCARNATION,
  type Owner,
  secretBytes,
} from "../../src/core/session/proof.ts";
import type { LoggedMessage } from "../../src/core/log/log.ts";
import type { ServerCore } from "../../src/core/server/server.ts";
import type { ServerLinkCore } from "../../src/core/server/link-core.ts";
import type { Receiver } from "../../src/core/log/receiver.ts";
import type { EndKind, Sender } from "../../src/core/log/sender.ts";
import type { Session } from "../../src/core/session/session.ts";
import { Flight, RoundTrip } from "../../src/core/log/window.ts";
import type { End } from "./end.ts";
import type { SimProcess } from "./process.ts";

/** What is known of a session when its process has died. */
export interface StoredSession {
  readonly link: ServerLinkCore;
  /** Its application's end in that life. */
  readonly end: End;
  /** Where that is listed, among all that the server had. */
  readonly ends: End[];
  /** Whose connection was let in last, on whichever node. */
  owner: Owner;
  committed: number;
  /** Up to here messages are stored, and how many of them the application has said. */
  durable: number;
  durableTaken: number;
  /** The application's end is stored as well. */
  ended: EndKind;
  /** Of the process that may write. */
  token: number;
  /** What there was to go on with when the process died, or lost the session; undefined: it has it, or there was nothing. */
  saved: { outbox: LoggedMessage[]; isDone: boolean } | undefined;
}

/** The process is about to let go of the session. */
export function save(stored: StoredSession): void {
  const { link } = stored;
  stored.saved = isRestorable(link) ? contentsOf(link) : undefined;
}

function contentsOf({ session }: ServerLinkCore): NonNullable<StoredSession["saved"]> {
  const isDone = session.phase === "done";
  return { outbox: isDone ? [] : session.sender.log.messages(), isDone };
}

/** There is something to go on with. */
export function mayGoOn({ link, saved }: StoredSession): boolean {
  return saved !== undefined || isRestorable(link);
}

/** Who closes, aborts or hears that the peer does is not to go on. */
function isRestorable({ session }: ServerLinkCore): boolean {
  const { phase, receiver, peerStopped } = session;
  return (phase === "live" && !receiver.stopped && !peerStopped) || (phase === "done" && receiver.endAccepted);
}

export type Adoption =
  | { kind: "unknown" }
  | { kind: "stale" }
  | { kind: "kept" }
  /** From another process, whose writes are refused from now on. `before`: who was let in last. */
  | { kind: "taken"; token: number; before: Owner };

export class SimStore {
  readonly #sessions = new Map<string, StoredSession>();
  readonly #everHeld = new Set<string>();

  get(id: string): StoredSession | undefined {
    return this.#sessions.get(id);
  }

  wasHeld(id: string): boolean {
    return this.#everHeld.has(id);
  }

  get sessions(): StoredSession[] {
    return [...this.#sessions.values()];
  }

  /** A link of the process that has the newest token from now on. */
  hold(link: ServerLinkCore, end: End, ends: End[], committed: number, durable: number): StoredSession {
    const { id } = link.session.keys;
    const before = this.#sessions.get(id);
    const stored = {
      link,
      end,
      ends,
      owner: before?.owner ?? link.owner,
      committed,
      durable,
      durableTaken: end.taken,
      ended: link.session.sender.endKind,
      token: (before?.token ?? 0) + 1,
      saved: undefined,
    };
    this.#sessions.set(id, stored);
    this.#everHeld.add(id);
    return stored;
  }

  /** A connection is about to be let in by the process that has `token`, if any. The store is asked first. */
  adopt(id: string, owner: Owner, token: number | undefined): Adoption {
    const stored = this.#sessions.get(id);
    if (stored === undefined) return { kind: "unknown" };
    const verdict = compareOwners(owner, stored.owner);
    if (verdict === "stale") return { kind: "stale" };
    const before = stored.owner;
    if (verdict === "newer") stored.owner = owner;
    if (stored.token === token) return { kind: "kept" };
    stored.token++;
    return { kind: "taken", token: stored.token, before };
  }

  /** Answers whether it was this process's to write, and followed what is there. */
  commit(id: string, token: number, from: number, to: number): boolean {
    const stored = this.#sessions.get(id);
    if (stored?.token !== token || stored.committed !== from) return false;
    stored.committed = to;
    return true;
  }

  write(id: string, token: number, to: number, taken: number, ended: EndKind): boolean {
    const stored = this.#sessions.get(id);
    if (stored?.token !== token) return false;
    stored.durable = to;
    stored.durableTaken = taken;
    stored.ended = ended;
    return true;
  }

  forget(id: string, token: number): void {
    if (this.#sessions.get(id)?.token === token) this.#sessions.delete(id);
  }
}

/** Whose marks they are. With a getter of its own each session would be of another shape, and slow to use. */
const MARKS = new WeakMap<object, StoredMarks>();
const COMMITTED: ThisType<Receiver> & PropertyDescriptor = {
  get(): number {
    return (MARKS.get(this) as StoredMarks).committed;
  },
};
const DURABLE: ThisType<Sender> & PropertyDescriptor = {
  get(): number {
    return (MARKS.get(this) as StoredMarks).durable;
  },
};

/** Makes a link's marks those of the store, and asks the store to move them. */
export class StoredMarks {
  readonly token: number;
  readonly #process: SimProcess;
  readonly #store: SimStore;
  readonly #link: ServerLinkCore;
  readonly #end: End;
  readonly #onFenced: () => void;
  #committed: number;
  #durable: number;
  #isEndDurable: boolean;
  #commits = false;
  #writes = false;

  constructor(
    process: SimProcess,
    store: SimStore,
    stored: { link: ServerLinkCore; end: End; ends: End[]; committed: number; durable: number },
    onFenced: () => void,
  ) {
    const { link, end, ends, committed, durable } = stored;
    this.#process = process;
    this.#store = store;
    this.#link = link;
    this.#end = end;
    this.#onFenced = onFenced;
    this.#committed = committed;
    this.#durable = durable;
    this.#isEndDurable = link.session.sender.endKind !== "none";
    this.token = store.hold(link, end, ends, committed, durable).token;
    const { receiver, sender } = link.session;
    MARKS.set(receiver, this);
    MARKS.set(sender, this);
    Object.defineProperty(receiver, "committed", COMMITTED);
    Object.defineProperty(sender, "durable", DURABLE);
  }

  get committed(): number {
    return this.#committed;
  }

  get durable(): number {
    return this.#leavesUpTo(this.#link.session.sender);
  }

  /** The core lets an end go with the last byte before it: where the end is not stored, that byte is held back too. */
  #leavesUpTo({ endKind, endAt }: Sender): number {
    return endKind === "none" || this.#isEndDurable ? this.#durable : Math.min(this.#durable, endAt - 1);
  }

  /** After each step. One request of each kind at a time. */
  look(): void {
    const { receiver, sender, phase } = this.#link.session;
    if (phase !== "live") return;
    if (!this.#commits && receiver.accepted > this.#committed) this.#commit(receiver.accepted);
    const isEndNew = sender.endKind !== "none" && !this.#isEndDurable;
    if (!this.#writes && (sender.log.end > this.#durable || isEndNew)) {
      this.#write(sender.log.end, this.#end.taken, sender.endKind);
    }
  }

  #commit(to: number): void {
    const { id } = this.#link.session.keys;
    const from = this.#committed;
    this.#commits = true;
    let done = false;
    this.#ask(
      () => {
        done = this.#store.commit(id, this.token, from, to);
        if (!done) this.#process.stage.count("commit refused");
      },
      () => {
        this.#commits = false;
        const { session } = this.#link;
        if (session.phase !== "live") return;
        if (!done) return this.#onFenced();
        this.#committed = to;
        // As `accept()` does where everything accepted is committed.
        session.ackOwed = "turn";
        this.#link.checkThrough();
      },
    );
  }

  #write(to: number, taken: number, ended: EndKind): void {
    const { id } = this.#link.session.keys;
    this.#writes = true;
    let done = false;
    this.#ask(
      () => {
        done = this.#store.write(id, this.token, to, taken, ended);
      },
      () => {
        this.#writes = false;
        if (done) {
          this.#durable = to;
          this.#isEndDurable = ended !== "none";
        } else if (this.#link.session.phase === "live") {
          this.#onFenced();
        }
      },
    );
  }

  /** There and back: the process may have died meanwhile, at either time. */
  #ask(arrives: () => void, returns: () => void): void {
    askStore(this.#process, arrives, returns);
  }
}

export function askStore(process: SimProcess, arrives: () => void, returns: () => void): void {
  const { stage, random } = process;
  const thereMs = stage.options.commitMs * random();
  stage.clock.schedule(thereMs, arrives);
  process.hear(thereMs + stage.options.commitMs * random(), returns);
}

/**
 * Puts what was stored into a new core, through its front door: opened and confirmed as its client would, and then given
 * the marks that it had. Phases other than live and done have nothing to go back to.
 */
export function restore(
  core: ServerCore,
  stored: StoredSession,
  owner: Owner,
  entropy: Entropy,
  nowMs: number,
): ServerLinkCore {
  const { link: dead } = stored;
  const { outbox, isDone } = stored.saved ?? contentsOf(dead);
  const before = core.events.splice(0);
  const link = openAgain(core, dead, entropy, nowMs);
  link.owner = owner;
  link.session.incarnation = dead.session.incarnation;
  restoreReceiver(link.session, dead.session, stored.committed);
  if (isDone) {
    restoreTombstone(link.session.sender, dead.session.sender);
    link.session.phase = "done";
  } else {
    restoreSender(link.session, dead.session, outbox, stored);
  }
  // Nobody else has said anything meanwhile.
  core.events.splice(0, core.events.length, ...before);
  link.events.length = 0;
  return link;
}

function openAgain(core: ServerCore, dead: ServerLinkCore, entropy: Entropy, nowMs: number): ServerLinkCore {
  const { keys } = dead.session;
  const owner: Owner = { ...dead.owner, counter: 0 };
  // Somebody has said its first HELLO again, and nobody will confirm that.
  for (const link of core.links()) if (link.session.keys.id === keys.id) link.forgetProvisional();
  const channel = -1 - core.sessions;
  core.connectionOpened(channel, "", nowMs);
  const hello = encodeHello("hello", {
    version: 1,
    mode: dead.session.receiver.mode,
    resume: false,
    sessionId: keys.id,
    incarnation: NO_INCARNATION,
    generation: owner,
    instance: owner.instance,
    positions: { received: 0, accepted: 0, window: 0, stop: false, done: false },
    maxMessageBytes: dead.maxMessageBytes,
    secretOrProof: secretBytes(keys.secret),
    fallback: undefined,
    credentials: Buffer.alloc(0),
    openPayload: dead.openPayload,
  });
  core.receive(channel, hello, nowMs);
  core.authenticated(channel, { identity: dead.identity, claims: undefined }, nowMs);
  const link = [...core.links()].find(({ session }) => session.keys.id === keys.id);
  if (link?.nonce === undefined) throw new Error("a stored session was not let in");
  const mac = confirmMac(entropy, keys, link.session.incarnation, link.nonce);
  core.receive(channel, encodeConfirm(mac), nowMs);
  core.connectionClosed(channel, "restored", nowMs);
  return link;
}

/** Received is what is committed, and no more. */
function restoreReceiver(session: Session, dead: Session, committed: number): void {
  const { receiver } = session;
  const { endPosition, endKind } = dead.receiver;
  const isEnded = committed > endPosition;
  receiver.received = committed;
  receiver.accepted = committed;
  receiver.handed = isEnded ? endPosition : committed;
  if (isEnded) {
    receiver.endKind = endKind;
    receiver.endPosition = endPosition;
  }
  receiver.loseConnection();
}

/** Everything durable may have been written before. */
function restoreSender(
  session: Session,
  dead: Session,
  messages: readonly LoggedMessage[],
  { durable, ended }: StoredSession,
): void {
  const { sender } = session;
  const { acked, log } = dead.sender;
  sender.log.start = log.start;
  sender.log.end = log.start;
  sender.acked = acked;
  for (const { payload, start, end } of messages) {
    const stored = log.mode === "bytes" ? payload.subarray(0, Math.max(0, durable - start)) : payload;
    if (end <= durable || log.mode === "bytes") sender.take(stored, stored.length, false);
  }
  if (ended !== "none") sender.end(ended);
  sender.sentNow = acked;
  sender.peerReceived = sender.log.end;
  sender.limit = Infinity;
  const flight = new Flight(new RoundTrip());
  flight.limitBytes = Infinity;
  sender.write([], Infinity, flight, 0);
  sender.highestSent = Math.max(sender.highestSent, acked);
  sender.limit = 0;
}

/** It sends nothing more: its positions are all there is. */
function restoreTombstone(sender: Sender, dead: Sender): void {
  const { acked, log, highestSent, endKind, endAt } = dead;
  sender.log.start = log.start;
  sender.log.end = log.end;
  Object.assign(sender, { acked, highestSent, endKind, endAt, sentNow: acked, ended: true });
}
