/** What a monitor answers to a request. */
import type { Health } from "../link/types.ts";
import { printable } from "../telemetry/printable.ts";
import { isAllowedHost } from "./hosts.ts";
import type { NamedSource } from "./sources.ts";

export interface Answer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string;
}

export interface Asked {
  method: string;
  /** As in the request: with a query, if there is one. */
  path: string;
  /** Each Host header. */
  hosts: readonly string[];
}

export interface Pages {
  sources: readonly NamedSource[];
  allowedHosts: ReadonlySet<string>;
  /** Never rejects. */
  metrics(): Promise<Answer>;
}

const ALWAYS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

export function answerTo({ method, path, hosts }: Asked, pages: Pages): Answer | Promise<Answer> {
  if (!isAllowedHost(hosts, pages.allowedHosts)) return plainText(403, "the option allowedHosts has no such host");
  if (method !== "GET" && method !== "HEAD") return plainText(405, "GET and HEAD only", { Allow: "GET, HEAD" });
  switch (path.replace(/\?.*$/su, "")) {
    case "/healthz":
      return health(pages.sources, false);
    case "/readyz":
      return health(pages.sources, true);
    case "/metrics":
      return pages.metrics();
    default:
      return plainText(404, "/healthz, /readyz, /metrics");
  }
}

export function plainText(status: number, body: string, headers: Answer["headers"] = {}): Answer {
  return answer(status, "text/plain; charset=utf-8", `${body}\n`, headers);
}

export function answer(status: number, type: string, body: string, headers: Answer["headers"] = {}): Answer {
  return { status, headers: { "Content-Type": type, ...ALWAYS, ...headers }, body };
}

const WORST: ReadonlyArray<Health["status"]> = ["down", "degraded", "healthy"];

/** A process that answers is alive, whatever its links do: a restart would not mend those. */
function health(sources: readonly NamedSource[], mustBeReady: boolean): Answer {
  const reports = sources.map(({ name, observed }) => {
    const { status, reasons } = observed.health();
    const named = name === "" ? {} : { name };
    return { kind: observed.kind, ...named, status, reasons: reasons.map((reason) => printable(reason)) };
  });
  const status = WORST.find((each) => reports.some((report) => report.status === each)) ?? "healthy";
  const body = `${JSON.stringify({ status, sources: reports })}\n`;
  return answer(mustBeReady && status === "down" ? 503 : 200, "application/json", body);
}
