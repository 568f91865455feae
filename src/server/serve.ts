/** Chooses, by the options of a server, whose clients it serves. */
import { type Capacity, durableCapacity, plainCapacity } from "./capacity.ts";
import { checkOptions } from "../link/check.ts";
import type { ResolvedListening } from "./listening-options.ts";
import { resolveServerOptions, type ServerSupervisorOptions } from "./options.ts";
import { type PlainServerOptions, resolvePlainServerOptions } from "./plain-options.ts";
import { PlainSessions } from "./plain-sessions.ts";
import type { ServedHost, ServedLinks } from "./served-links.ts";
import { Sessions } from "./sessions.ts";

export interface Service {
  listening: ResolvedListening;
  capacity: Capacity;
  timeouts: { tlsMs: number; handshakeMs: number };
  allowHalfOpen: boolean;
  open: (host: ServedHost) => ServedLinks;
}

/** Throws INVALID_ARGUMENT, INVALID_OPTION. */
export function serve(options: ServerSupervisorOptions | PlainServerOptions): Service {
  checkOptions("new ServerSupervisor()", options, "{ port: 7000 }");
  return options.protocol === undefined ? durable(options) : plain(options);
}

function durable(given: ServerSupervisorOptions): Service {
  const options = resolveServerOptions(given);
  return {
    listening: options,
    capacity: durableCapacity(options),
    timeouts: options.timeouts,
    allowHalfOpen: false,
    open: (host) => new Sessions(options, host),
  };
}

function plain(given: PlainServerOptions): Service {
  const options = resolvePlainServerOptions(given);
  return {
    listening: options,
    capacity: plainCapacity(options),
    timeouts: options.timeouts,
    allowHalfOpen: true,
    open: (host) => new PlainSessions(options, host),
  };
}
