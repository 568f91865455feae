/** The states that a link's application would see, and those that its session goes through, to count each transition. */
import { Session } from "../../src/core/session/session.ts";
import { type LinkInput, type LinkState, nextLinkState, type SessionInput } from "../../src/core/states.ts";
import type { Stage } from "./stage.ts";

export class LinkLife {
  state: LinkState = "created";
  readonly #stage: Stage;
  readonly #awaited: Array<{ state: LinkState; action: () => void }> = [];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Does nothing where the table has no such transition, as the link does. */
  to(input: LinkInput): void {
    const to = nextLinkState(this.state, input);
    if (to === undefined) return;
    this.#stage.count(`link ${this.state}, ${input}: ${to}`);
    this.state = to;
    for (const { state, action } of this.#awaited) if (state === to) this.#stage.clock.schedule(0, action);
  }

  /** Whenever it comes into that state. */
  on(state: LinkState, action: () => void): void {
    this.#awaited.push({ state, action });
  }
}

const watchers = new WeakMap<Session, Stage>();

/** From now on each change of its phase is counted. */
export function watchPhase(stage: Stage, session: Session): void {
  if (!watchers.has(session)) watchers.set(session, stage);
}

// An accessor in place of each session's own `phase` would make them all slow to use, and the simulation with them.
const { to } = Session.prototype;
Session.prototype.to = function (input: SessionInput): void {
  const from = this.phase;
  to.call(this, input);
  watchers.get(this)?.count(`session ${from}, ${input}: ${this.phase}`);
};
