/**
 * What a server keeps of its sessions beyond its own life: acceptance that is committed late, and messages that are
 * durable late. Restarted, it goes back to that, and what was accepted but not committed is handed out again. The store
 * is somebody else's: what a dead process has asked for may still arrive there, and is refused by its token.
 */
import { compareOwners, type Owner, type Provable } from "../../src/core/session/proof.ts";
import type { SessionSnapshot } from "../../src/core/session/snapshot.ts";
import type { ServerLinkCore } from "../../src/core/server/link-core.ts";
import type { StoreAnswer } from "../../src/core/server/server.ts";
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
  /** Up to here messages are stored, and the end if it is above that; and how many of them the application has said. */
  durable: number;
  durableTaken: number;
  /** Of the process that may write. */
  token: number;
  /**
   * What there was to go on with when the process died, or lost the session; undefined: it has it, or there was nothing.
   * A real store has it as it is written. To look at it once comes to the same, as what is beyond the marks is cut off.
   */
  saved: SessionSnapshot | undefined;
}

/** The process is about to let go of the session. */
export function save(stored: StoredSession): void {
  stored.saved ??= stored.link.snapshot();
}

/** The session as another process may go on with it; undefined if its application has closed or aborted it. */
export function storedIn(stored: StoredSession): SessionSnapshot | undefined {
  const { committed, durable } = stored;
  save(stored);
  const { saved } = stored;
  if (saved === undefined) return undefined;
  return { ...saved, receiver: { ...saved.receiver, committed }, sender: { ...saved.sender, durable } };
}

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

  /** A link of the process that has the newest token: the one that it was given with the session, or one more. */
  hold(link: ServerLinkCore, end: End, ends: End[]): void {
    const { id } = link.session.keys;
    const before = this.#sessions.get(id);
    link.token ??= (before?.token ?? 0) + 1;
    this.#sessions.set(id, {
      link,
      end,
      ends,
      owner: before?.owner ?? link.owner,
      committed: before?.committed ?? 0,
      durable: before?.durable ?? 0,
      durableTaken: end.taken,
      token: link.token,
      saved: undefined,
    });
    this.#everHeld.add(id);
  }

  /** A connection is about to be let in by the process that has `token`, if any. `mayAdopt`: its proof is right. */
  adopt(id: string, owner: Owner, token: number | undefined, mayAdopt: (stored: Provable) => boolean): StoreAnswer {
    const stored = this.#sessions.get(id);
    if (stored === undefined) return "unknown";
    const { link, owner: before } = stored;
    const { keys, incarnation } = link.session;
    if (!mayAdopt({ keys, incarnation, openPayload: link.openPayload })) return "unknown";
    const verdict = compareOwners(owner, before);
    if (verdict !== "newer") return verdict;
    if (stored.token === token) {
      stored.owner = owner;
      return "kept";
    }
    const snapshot = storedIn(stored);
    if (snapshot === undefined) {
      this.#sessions.delete(id);
      return "unknown";
    }
    stored.owner = owner;
    stored.token++;
    return { token: stored.token, snapshot: { ...snapshot, owner: before } };
  }

  /** Answers whether it was this process's to write, and followed what is there. */
  commit(id: string, token: number | undefined, from: number, to: number): boolean {
    const stored = this.#sessions.get(id);
    if (stored?.token !== token || stored?.committed !== from) return false;
    stored.committed = to;
    return true;
  }

  write(id: string, token: number | undefined, to: number, taken: number): boolean {
    const stored = this.#sessions.get(id);
    if (stored === undefined || stored.token !== token) return false;
    stored.durable = to;
    stored.durableTaken = taken;
    return true;
  }

  forget(id: string, token: number | undefined): void {
    if (this.#sessions.get(id)?.token === token) this.#sessions.delete(id);
  }
}

/** There and back: the process may have died meanwhile, at either time. */
export function askStore(process: SimProcess, arrives: () => void, returns: () => void): void {
  const { stage, random } = process;
  const thereMs = stage.options.commitMs * random();
  stage.clock.schedule(thereMs, arrives);
  process.hear(thereMs + stage.options.commitMs * random(), returns);
}
