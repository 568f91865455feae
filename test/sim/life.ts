/** The states that a link's application would see, and those that its session goes through, to count each transition. */
import type { Session } from "../../src/core/session/session.ts";
import {
  type LinkInput,
  type LinkState,
  nextLinkState,
  SESSION_TRANSITIONS,
  type SessionPhase,
} from "../../src/core/states.ts";
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

const watched = new WeakSet<Session>();

/** From now on each change of its phase is counted. */
export function watchPhase(stage: Stage, session: Session): void {
  if (watched.has(session)) return;
  watched.add(session);
  let phase: SessionPhase = session.phase;
  Object.defineProperty(session, "phase", {
    get: () => phase,
    set: (to: SessionPhase) => {
      const [input] = Object.entries(SESSION_TRANSITIONS[phase]).find(([, next]) => next === to) ?? ["?"];
      stage.count(`session ${phase}, ${input}: ${to}`);
      phase = to;
    },
  });
}
