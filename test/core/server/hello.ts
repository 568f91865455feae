/** What a client says first, for those who look at no more than that. */
import { newKeys } from "../../../src/core/session/proof.ts";
import type { Hello } from "../../../src/core/wire/frames.ts";
import { SYSTEM_ENTROPY } from "../../../src/io/entropy.ts";
import { openingOf } from "../../server/raw-session.ts";

/** Of a session that this server has opened; an open if there is none. */
export function helloOf(serverId: string | undefined): Hello {
  const open = openingOf(newKeys(SYSTEM_ENTROPY), "");
  return serverId === undefined ? open : { ...open, resume: true, incarnation: serverId.padEnd(32, "c") };
}
