/**
 * Before a connection may speak for a session that other servers could have as well, the store is asked: each adoption is
 * a conditional write there. The core asks nobody, so what would let a connection in waits here: the verdict on a HELLO
 * that resumes, and COMMIT.
 */
import { FrameDecoder } from "../../src/core/wire/decoder.ts";
import type { HelloFrame } from "../../src/core/wire/frames.ts";
import { type Owner, ownerOf } from "../../src/core/session/proof.ts";
import type { CheckedVerdict, ServerCore } from "../../src/core/server/server.ts";
import type { ServerLinkCore } from "../../src/core/server/link-core.ts";
import { EVERY_FRAME } from "../core/support.ts";
import type { SimProcess } from "./process.ts";
import { clientOf } from "./stage.ts";
import { type Adoption, askStore, type SimStore, type StoredSession } from "./store.ts";

/** The server that it is the door of. */
type House = SimProcess & {
  readonly core: ServerCore;
  readonly drains: boolean;
  /** What is in memory of a session, and the store's token for it. */
  held(sessionId: string): { link: ServerLinkCore; token: number } | undefined;
  fence(link: ServerLinkCore): void;
  restore(stored: StoredSession, owner: Owner): void;
  hangUp(channel: number): void;
};

interface Visitor {
  readonly decoder: FrameDecoder;
  said: HelloFrame | undefined;
  commits: boolean;
  /** What waits for the store's answer; undefined: nothing does. */
  held: Buffer[] | undefined;
}

export class Door {
  readonly #server: House;
  readonly #store: SimStore;
  readonly #visitors = new Map<number, Visitor>();

  constructor(server: House, store: SimStore) {
    this.#server = server;
    this.#store = store;
  }

  /** The process has died. */
  clear(): void {
    this.#visitors.clear();
  }

  receive(channel: number, chunk: Buffer): void {
    const visitor = this.#visitor(channel);
    if (visitor.held !== undefined) {
      visitor.held.push(chunk);
      return;
    }
    if (visitor.said?.type !== "hello" && !visitor.commits) this.#listen(visitor, chunk);
    if (!visitor.commits || visitor.said === undefined) return this.#deliver(channel, chunk);
    // Once: COMMIT is what follows STANDBY, and what comes after is the session's.
    const { said } = visitor;
    visitor.said = undefined;
    visitor.held = [chunk];
    this.#adopt(said, (letIn) => {
      const { held = [] } = visitor;
      visitor.held = undefined;
      if (!letIn) return this.#server.hangUp(channel);
      for (const each of held) this.#deliver(channel, each);
    });
  }

  #visitor(channel: number): Visitor {
    let visitor = this.#visitors.get(channel);
    if (visitor === undefined) {
      visitor = { decoder: new FrameDecoder(EVERY_FRAME), said: undefined, commits: false, held: undefined };
      this.#visitors.set(channel, visitor);
    }
    return visitor;
  }

  #listen(visitor: Visitor, chunk: Buffer): void {
    // A copy: the decoder gives the memory of what it has decoded back, and the core reads the chunk as well.
    visitor.decoder.push(Buffer.from(chunk), {
      onFrame: (frame) => {
        if (frame.type === "hello" || frame.type === "standby") visitor.said ??= frame;
        if (frame.type === "commit") visitor.commits = true;
      },
      onData: () => {},
    });
  }

  #deliver(channel: number, chunk: Buffer): void {
    const { core, nowMs } = this.#server;
    core.receive(channel, chunk, nowMs);
  }

  authenticated(channel: number, verdict: CheckedVerdict): void {
    const { core } = this.#server;
    const said = this.#visitors.get(channel)?.said;
    const answer = (given: CheckedVerdict): void => core.authenticated(channel, given, this.#server.nowMs);
    // What is stored was confirmed: it is not opened again.
    if (said?.hello.resume === false && this.#store.get(said.hello.sessionId) !== undefined)
      return answer("unavailable");
    const resumes = said?.type === "hello" && said.hello.resume;
    if (!resumes || verdict === "unavailable" || "refused" in verdict) return answer(verdict);
    this.#adopt(said, (letIn) => answer(letIn ? verdict : "unavailable"));
  }

  /** `then` hears whether the core may look at it; what it finds is what is in memory then. */
  #adopt(said: HelloFrame, then: (letIn: boolean) => void): void {
    const { sessionId, openPayload } = said.hello;
    const stored = this.#store.get(sessionId);
    if (stored === undefined) {
      // Its client has read a WELCOME, and its CONFIRM came to nobody.
      if (!this.#store.wasHeld(sessionId)) this.#server.stage.unstored.add(clientOf(openPayload));
      this.#drop(sessionId);
      return then(true);
    }
    if (!stored.link.isFor(said)) return then(true);
    // Who goes away takes nobody else's sessions.
    if (this.#server.drains && this.#server.held(sessionId) === undefined) return then(false);
    let adoption: Adoption = { kind: "unknown" };
    askStore(
      this.#server,
      () => {
        adoption = this.#store.adopt(sessionId, ownerOf(said.hello), this.#server.held(sessionId)?.token);
      },
      () => then(this.#onAnswer(sessionId, adoption)),
    );
  }

  #onAnswer(sessionId: string, adoption: Adoption): boolean {
    const stored = this.#store.get(sessionId);
    if (adoption.kind === "stale") return false;
    if (adoption.kind === "unknown" || stored === undefined) {
      this.#drop(sessionId);
      return true;
    }
    if (adoption.kind === "kept") return this.#server.held(sessionId)?.token === stored.token;
    // Somebody else has been let in meanwhile, perhaps elsewhere.
    if (stored.token !== adoption.token || this.#server.drains) return false;
    this.#drop(sessionId);
    this.#server.restore(stored, adoption.before);
    return true;
  }

  /** What is in memory of it is not what is stored: it has gone on elsewhere, perhaps to its end. */
  #drop(sessionId: string): void {
    const held = this.#server.held(sessionId);
    if (held !== undefined) this.#server.fence(held.link);
  }
}
