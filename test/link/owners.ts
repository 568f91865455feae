/** The owner of a link that belongs to no manager and to no server. */
import type { StateChange } from "../../src/index.ts";
import type { LinkOwner } from "../../src/link/owner.ts";
import { Journal } from "../../src/telemetry/journal.ts";

/** Keeps the changes of the link's state. `changed`: what the test does in place of an owner that does nothing. */
export function ownerOf(link: string, changed: Partial<LinkOwner> = {}): { owner: LinkOwner; changes: StateChange[] } {
  const changes: StateChange[] = [];
  const owner: LinkOwner = {
    journal: new Journal(),
    ids: { link, session: "" },
    identity: undefined,
    claims: undefined,
    openPayload: Buffer.alloc(0),
    isServing: false,
    isAtWork: false,
    waitUntil: () => {},
    endUnopened: () => false,
    hold: () => {},
    retryNow: () => {},
    holdProcess: () => {},
    onCloseCalled: () => {},
    onStepComplete: () => {},
    onEvent: () => {},
    onState: (change) => void changes.push(change),
    hearsHandlerErrors: false,
    onHandlerFailed: () => {},
    onEnded: () => {},
    ...changed,
  };
  return { owner, changes };
}
