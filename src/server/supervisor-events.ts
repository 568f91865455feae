/** The events of a ServerSupervisor. */
import type { SupervisorState } from "../core/states.ts";
import type { RespliceError } from "../link/errors.ts";
import type { Link } from "../link/types.ts";
import type { OverloadReport } from "../telemetry/record.ts";
import type { ListenerChange } from "./listening/acceptor.ts";

/**
 * `listener`: an address was lost, and the server tries to listen there again; or it does so again: docs/listening.md.
 * `error`: an address has failed for good. `handlerError`: the handler of serve() or of a link's onMessage() threw
 * `error`, or its promise was rejected with it; the link ends with HANDLER_FAILED, unless it has ended before.
 * `overload`: a step against the overload of a resource was taken, or taken back: docs/overload.md.
 */
export type SupervisorEvents = {
  state: [change: { from: SupervisorState; to: SupervisorState; reason: string }];
  handlerError: [event: { link: Link; error: unknown }];
  error: [error: RespliceError];
  overload: [report: OverloadReport];
  listener: [change: ListenerChange];
};
