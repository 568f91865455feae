import type { Link, LinkState, StateChange } from "../src/index.ts";

/** The next change to this state. */
export function turned<S extends LinkState>(link: Link, to: S): Promise<Extract<StateChange, { to: S }>> {
  return new Promise((resolve) => {
    const onState = (change: StateChange): void => {
      if (change.to !== to) return;
      link.off("state", onState);
      resolve(change as Extract<StateChange, { to: S }>);
    };
    link.on("state", onState);
  });
}
