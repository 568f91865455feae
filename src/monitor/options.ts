/** The options of monitor(). */
import { checkOptions, hostName, integer, logger } from "../link/check.ts";
import type { ContainedLogger, Logger } from "../telemetry/logger.ts";
import { resolveHosts } from "./hosts.ts";
import { checkedRegister, type PrometheusRegistry } from "./prometheus.ts";
import { type MonitoredSources, type NamedSource, namedSources } from "./sources.ts";

/** The options of monitor(). */
export interface MonitorOptions {
  /** 0: any free port; `listening()` answers which. */
  port: number;
  /**
   * Default "127.0.0.1". Danger: anybody who reaches another address can read the numbers, the ids of links, their
   * identities and addresses, and the reasons of their states.
   */
  host?: string;
  /** The managers and servers whose health and metrics are told: 1 to 100. */
  sources: MonitoredSources;
  /**
   * Names by which the monitor may be asked, beside IP addresses and localhost, as in the Host header without a port.
   * Any other name is refused, as a web page of a stranger's could have it. Default none.
   */
  allowedHosts?: readonly string[];
  /** The registry of /metrics, with the metrics that are there already. Default: a new one. */
  register?: PrometheusRegistry;
  /** Told when the monitor listens, or cannot. Without it the first failure of the process is a process warning. */
  logger?: Logger;
}

export interface ResolvedMonitor {
  where: { port: number; host: string };
  sources: NamedSource[];
  given: MonitoredSources;
  allowedHosts: ReadonlySet<string>;
  register: PrometheusRegistry | undefined;
  logger: ContainedLogger | undefined;
}

export function resolveMonitor(options: MonitorOptions): ResolvedMonitor {
  checkOptions("monitor()", options, "{ port: 9400, sources: [manager] }", [
    "port",
    "host",
    "sources",
    "allowedHosts",
    "register",
    "logger",
  ]);
  return {
    where: { port: integer("port", options.port, 0, 65_535), host: hostName("host", options.host ?? "127.0.0.1") },
    sources: namedSources(options.sources),
    given: options.sources,
    allowedHosts: resolveHosts(options.allowedHosts ?? []),
    register: checkedRegister(options),
    logger: logger(options.logger),
  };
}
