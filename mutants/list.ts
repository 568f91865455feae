/** All mutants: each takes one rule out. By theme, in the folder `list`. */
import { ADDRESSES_KEPT } from "./list/addresses.ts";
import { CARRIED } from "./list/carried.ts";
import { COMMAND } from "./list/command.ts";
import { DATA } from "./list/data.ts";
import { DIAL } from "./list/dial.ts";
import { DRAINING } from "./list/draining.ts";
import { ENDING } from "./list/ending.ts";
import { ENDINGS } from "./list/endings.ts";
import { FORWARD } from "./list/forward.ts";
import { FRAMING } from "./list/framing.ts";
import { GUARD } from "./list/guard.ts";
import { LIMITS } from "./list/limits.ts";
import { LISTENING } from "./list/listening.ts";
import { MOVING } from "./list/moving.ts";
import { OPENING } from "./list/opening.ts";
import { OUTSIDE } from "./list/outside.ts";
import { OVERLOAD } from "./list/overload.ts";
import { PACE } from "./list/pace.ts";
import { PAGE } from "./list/page.ts";
import { PLAIN } from "./list/plain.ts";
import { PORTS } from "./list/ports.ts";
import { DOOR } from "./list/door.ts";
import { SHORT_WAY } from "./list/short-way.ts";
import { SILENCE } from "./list/silence.ts";
import { QUEUE } from "./list/queue.ts";
import { RESOURCES } from "./list/resources.ts";
import { ROUTING } from "./list/routing.ts";
import { SERVED } from "./list/served.ts";
import { SETTINGS } from "./list/settings.ts";
import { SHEDDING } from "./list/shedding.ts";
import { SHELL } from "./list/shell.ts";
import { SOCKETS } from "./list/sockets.ts";
import { SPARE_LINKS } from "./list/spare-links.ts";
import { STORE } from "./list/store.ts";
import { SUPERVISE } from "./list/supervise.ts";
import { TAKEOVER } from "./list/takeover.ts";
import { TARGETS } from "./list/targets.ts";
import { TOLD } from "./list/told.ts";
import { COUNTED_BY_BENCH } from "./list/counted.ts";
import type { Mutant } from "./mutant.ts";

export const MUTANTS: readonly Mutant[] = [
  ...OPENING,
  ...TAKEOVER,
  ...DATA,
  ...COMMAND,
  ...ENDING,
  ...ENDINGS,
  ...MOVING,
  ...DRAINING,
  ...PACE,
  ...SILENCE,
  ...SHORT_WAY,
  ...PLAIN,
  ...SERVED,
  ...PORTS,
  ...DOOR,
  ...LIMITS,
  ...LISTENING,
  ...ADDRESSES_KEPT,
  ...SETTINGS,
  ...SHEDDING,
  ...SHELL,
  ...SOCKETS,
  ...SPARE_LINKS,
  ...STORE,
  ...FORWARD,
  ...ROUTING,
  ...DIAL,
  ...FRAMING,
  ...QUEUE,
  ...OVERLOAD,
  ...OUTSIDE,
  ...PAGE,
  ...RESOURCES,
  ...GUARD,
  ...SUPERVISE,
  ...CARRIED,
  ...TARGETS,
  ...TOLD,
  ...COUNTED_BY_BENCH,
];
