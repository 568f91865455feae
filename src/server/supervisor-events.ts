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
  /** The server has another state. `reason` is stable: docs/metrics.md. */
  state: [change: { from: SupervisorState; to: SupervisorState; reason: string }];
  /** A handler has failed, and its link ends. */
  handlerError: [event: { link: Link; error: unknown }];
  /** An address has failed for good. Unlike Node's 'error', it needs no listener. */
  error: [error: RespliceError];
  /** A step against overload, or the end of one. */
  overload: [report: OverloadReport];
  /** An address was lost, or is listened at again. */
  listener: [change: ListenerChange];
};
