// A proxy for a test, of the Toxiproxy that runs for all of them.

import { inject } from "vitest";

import { type ChaosProxy, openProxyAt, type ProxyOptions } from "./toxiproxy-proxy.ts";

export type { ChaosProxy, ProxyOptions };

export function openProxy(options: ProxyOptions): Promise<ChaosProxy> {
  return openProxyAt(inject("toxiproxyUrl"), options);
}
