/** A server's side of its store: it asks, and does what the answers say. */
import type { AdoptEvent, ServerCore, StoreAnswer } from "../../src/core/server/server.ts";
import type { ServerLinkCore } from "../../src/core/server/link-core.ts";
import { End } from "./end.ts";
import type { SimProcess } from "./process.ts";
import { clientOf } from "./stage.ts";
import { askStore, save, SimStore, storedIn } from "./store.ts";

type Server = SimProcess & {
  readonly core: ServerCore;
  readonly ends: Map<ServerLinkCore, End>;
  readonly allEnds: End[];
};

export class StoreClient {
  /** Other servers have the same store. */
  readonly isShared: boolean;
  readonly #server: Server;
  /** Outlives the server's process. */
  readonly #store: SimStore;
  readonly #writers = new Map<ServerLinkCore, StoreWriter>();

  constructor(server: Server, shared: SimStore | undefined) {
    this.#server = server;
    this.#store = shared ?? new SimStore();
    this.isShared = shared !== undefined;
  }

  /** A process has begun. From a store that others have too it takes only what a client comes for. */
  start(): void {
    if (this.isShared) return;
    const { core, nowMs } = this.#server;
    for (const stored of this.#store.sessions) {
      const snapshot = storedIn(stored);
      if (snapshot === undefined) this.#store.forget(stored.link.session.keys.id, stored.token);
      else core.restore(snapshot, nowMs);
    }
  }

  /** The process has died. */
  die(): void {
    for (const link of this.#writers.keys()) this.#save(link);
    this.#writers.clear();
  }

  #save(link: ServerLinkCore): void {
    const stored = this.#store.get(link.session.keys.id);
    if (stored?.link === link) save(stored);
  }

  /** The application of `end` was given the link. */
  hold(link: ServerLinkCore, end: End): void {
    this.#store.hold(link, end, this.#server.allEnds);
    this.#writers.set(link, new StoreWriter(this.#server, this.#store, link, end, () => this.fence(link)));
  }

  /** A session has come out of the store. */
  onRestored(link: ServerLinkCore): void {
    const { stage, ends, allEnds } = this.#server;
    const stored = this.#store.get(link.session.keys.id);
    // The session came here, and went on elsewhere before the store's answer was here: nothing more can be written.
    const isLate = link.token !== undefined && link.token !== stored?.token;
    if (stored === undefined || isLate) return this.#onRestoredLate(link);
    const { end: dead, committed, durable, saved } = stored;
    const end = new End(this.#server, link, dead.client, "server", { ...stored, isDone: saved?.phase === "done" });
    // It is the same application that goes on, here.
    stored.ends.splice(stored.ends.indexOf(dead), 1);
    allEnds.push(end);
    ends.set(link, end);
    this.hold(link, end);
    stage.hasCarried = true;
    stage.count(`restored a session that was ${saved?.phase}`);
    stage.note(`${end.name}: restored at ${committed}, with what was said up to ${durable}`);
  }

  /** No application is to count what it hears or says there. */
  #onRestoredLate(link: ServerLinkCore): void {
    const { stage, ends } = this.#server;
    ends.set(link, new End(this.#server, link, clientOf(link.openPayload), "server"));
    stage.hasCarried = true;
    stage.count("restored too late");
    this.fence(link);
  }

  /** Another process has the session now. What this one has not stored it has never done. */
  fence(link: ServerLinkCore): void {
    this.#save(link);
    this.#server.stage.count("fenced");
    this.#writers.delete(link);
    link.abandon("session-lost");
  }

  /** Nobody has taken it away. */
  owns(link: ServerLinkCore): boolean {
    return !this.isShared || this.#store.get(link.session.keys.id)?.token === link.token;
  }

  /** After each step. */
  look(): void {
    for (const writer of this.#writers.values()) writer.look();
  }

  /** The link has ended by itself. */
  onGone(link: ServerLinkCore): void {
    if (this.#writers.delete(link)) this.#store.forget(link.session.keys.id, link.token);
  }

  /** Before a connection may speak for a session that other servers could have as well. `letInFor`: an open payload. */
  adopt({ channel, sessionId, owner, by, token }: AdoptEvent, letInFor: Buffer | undefined): void {
    const { core, stage, random } = this.#server;
    let answer: StoreAnswer = "unavailable";
    askStore(
      this.#server,
      () => {
        answer = this.#store.adopt(sessionId, owner, token, (stored) => core.mayAdopt(channel, stored));
      },
      () => {
        const heard = random() < stage.options.shares.unavailable ? "unavailable" : answer;
        // Its client has read a WELCOME, and its CONFIRM came to nobody.
        const isNew = heard === "unknown" && !this.#store.wasHeld(sessionId);
        if (isNew && letInFor !== undefined) stage.unstored.add(clientOf(letInFor));
        stage.count(`store: ${by} ${typeof heard === "string" ? heard : "taken"}`);
        core.adopted(channel, heard, this.#server.nowMs);
      },
    );
  }
}

/** Asks the store to commit what a link's application accepts, and to keep what it says, and tells the link. */
class StoreWriter {
  readonly #process: SimProcess;
  readonly #store: SimStore;
  readonly #link: ServerLinkCore;
  readonly #end: End;
  readonly #onFenced: () => void;
  readonly #asks = { commit: false, write: false };

  constructor(process: SimProcess, store: SimStore, link: ServerLinkCore, end: End, onFenced: () => void) {
    this.#process = process;
    this.#store = store;
    this.#link = link;
    this.#end = end;
    this.#onFenced = onFenced;
  }

  /** After each step. One request of each kind at a time. */
  look(): void {
    const { session, token } = this.#link;
    const { receiver, sender, phase } = session;
    const { id } = session.keys;
    if (phase !== "live") return;
    const { accepted, committed } = receiver;
    if (accepted > committed) {
      const commit = (): boolean => this.#store.commit(id, token, committed, accepted);
      this.#ask("commit", commit, () => this.#link.committed(accepted));
    }
    const { finalPosition } = sender;
    if (finalPosition > sender.durable) {
      const { taken } = this.#end;
      const write = (): boolean => this.#store.write(id, token, finalPosition, taken);
      this.#ask("write", write, () => this.#link.persisted(finalPosition));
    }
  }

  /** `request` answers whether the store has done it, and `tell` tells the link so. */
  #ask(kind: "commit" | "write", request: () => boolean, tell: () => void): void {
    if (this.#asks[kind]) return;
    this.#asks[kind] = true;
    let done = false;
    askStore(
      this.#process,
      () => {
        done = request();
        if (!done) this.#process.stage.count(`${kind} refused`);
      },
      () => {
        this.#asks[kind] = false;
        if (done) tell();
        else if (this.#link.session.phase === "live") this.#onFenced();
      },
    );
  }
}
