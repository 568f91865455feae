/// <reference types="node" preserve="true" />
// Since version 6 TypeScript loads no types that nobody names.
/**
 * resplice: TCP links that outlive their sockets.
 *
 *     const supervisor = new ServerSupervisor({ port: 7000 });          const manager = new ConnectionManager();
 *     supervisor.serve(async (link) => {                                const link = manager.open({ port: 7000 });
 *       for await (const message of link) await link.send(message);     await link.send("pull the cable now");
 *     });                                                               console.log(String(await link.receive()));
 *     await supervisor.listen();                                        await link.close();
 *
 * Units are last in names. Options are checked when given, against each other: INVALID_OPTION. Every wait takes a
 * signal. A call in a wrong state throws, or rejects where it returns a promise, and changes nothing. Events come after
 * a transition is complete; on() throws for a name that is not listed. An open link keeps the process alive, also while
 * offline.
 *
 * @module resplice
 */
import "./supported-node.ts";
export { ConnectionManager, type ManagerStats } from "./client/manager.ts";
export type {
  ClientSocketOptions,
  ConnectionManagerOptions,
  ConnectOptions,
  OpenOptions,
  ReconnectOptions,
} from "./client/options.ts";
export type { OpenPlainOptions, PlainTimeoutOptions } from "./client/plain-options.ts";
export { srv, type SrvOptions } from "./client/srv.ts";
export type { Endpoint, EndpointOrder, ForEachAttempt, Target } from "./client/targets.ts";
export { type Delivery, type ErrorCode, RespliceError } from "./link/errors.ts";
export {
  type DurableOptions,
  GiB,
  type KeepaliveOptions,
  KiB,
  type LinkOptions,
  MiB,
  type TimeoutOptions,
} from "./link/options.ts";
export type { PriorityOptions, QueueOptions } from "./link/queue-options.ts";
export type {
  ClearOptions,
  CloseOptions,
  CloseReport,
  CutOffReason,
  Health,
  Link,
  LinkEvents,
  LinkReport,
  LinkState,
  LinkStats,
  Message,
  OnConnection,
  Payload,
  RequestOptions,
  SendOptions,
  StateChange,
  Traffic,
  TrySendOptions,
  Undelivered,
  UndeliveredMessage,
  WaitOptions,
} from "./link/types.ts";
export { type Monitor, monitor, type MonitorEvents } from "./monitor/monitor.ts";
export type { MonitorOptions } from "./monitor/options.ts";
export { prometheus, type PrometheusOptions, type PrometheusRegistry } from "./monitor/prometheus.ts";
export type { MonitoredSource, MonitoredSources } from "./monitor/sources.ts";
export type { Deliver, FrameDecoder, FrameLimits, Framing } from "./plain/framing.ts";
export type { PlainLink } from "./plain-link/handle.ts";
export type { PlainDeadlineOptions, PlainKeepaliveOptions, PlainLinkOptions } from "./plain-link/options.ts";
export type { OverloadAction } from "./core/overload/actions.ts";
export type { OverloadReport } from "./telemetry/record.ts";
export type { ResourceStats } from "./telemetry/samples.ts";
export type { CustomResource, Resources, Thresholds } from "./server/resource-options.ts";
export type { AccessOptions } from "./server/access.ts";
export { type Closable, closeOnSignal, type CloseOnSignalOptions } from "./server/close-on-signal.ts";
export type { DrainOptions } from "./server/drain.ts";
export type { AddressStats, ListenerChange } from "./server/listening/acceptor.ts";
export type { ListeningOptions, ProxyProtocolOptions } from "./server/listening-options.ts";
export type {
  BoundAddress,
  FdAddress,
  ListenAddress,
  Listening,
  PathAddress,
  PortAddress,
  SystemdAddress,
} from "./server/listening/places.ts";
export type { AuthenticateRequest, Limits, ServerSupervisorOptions, ServerTimeoutOptions } from "./server/options.ts";
export type {
  ForwardAddress,
  ForwardBetweenHosts,
  ForwardInFolder,
  ForwardOptions,
  ForwardRegistry,
} from "./server/forward/options.ts";
export { type ConnectionRouter, routeConnections, type RouterStats } from "./server/routing/router.ts";
export type { RouteOptions } from "./server/routing/options.ts";
export type { PlainRateLimits, RateLimit, RateLimits } from "./server/rate-options.ts";
export type { PlainLimits, PlainServerOptions, PlainServerTimeoutOptions } from "./server/plain-options.ts";
export {
  type AcceptOptions,
  ServerSupervisor,
  type SupervisorEvents,
  type SupervisorState,
  type SupervisorStats,
} from "./server/supervisor.ts";
export type { SuperviseLimits, SuperviseOptions, SuperviseTimeouts } from "./supervise/options.ts";
export type { SupervisedState, SupervisedStats } from "./supervise/stats.ts";
export {
  supervise,
  type SupervisedEvents,
  type SupervisedReport,
  type SupervisedServer,
} from "./supervise/supervised-server.ts";
export type { EventCounts } from "./telemetry/event-counts.ts";
export type { LineCounts, Logger } from "./telemetry/logger.ts";
export type { Totals } from "./telemetry/samples.ts";
export type { Authenticated, Verdict } from "./server/verdict.ts";
export { bytes } from "./plain/bytes.ts";
export { delimited } from "./plain/delimited.ts";
export { fixed } from "./plain/fixed.ts";
export type { LengthPrefix } from "./plain/length-prefix.ts";
export { lengthPrefixed } from "./plain/length-prefixed.ts";
export { type LineOptions, lines } from "./plain/lines.ts";
export type { MessageId } from "./plain/options.ts";
export {
  type LoginConnection,
  plain,
  type PlainOptions,
  type PlainProbe,
  type PlainProtocol,
  type PlainRequests,
} from "./plain/plain.ts";
