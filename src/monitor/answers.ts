/** What a monitor answers to a request. */
import type { Health } from "../link/types.ts";
import { printable } from "../telemetry/printable.ts";
import { isAllowedHost } from "./hosts.ts";
import { type BundledFile, type BundledFiles, CONTENT_SECURITY_POLICY, DOCUMENT } from "./live/files.ts";
import { type View, viewOf } from "./live/view.ts";
import type { NamedSource } from "./sources.ts";

export interface Answer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string;
}

/** An answer that goes on: the events of the live page. */
export interface Events {
  status: 200;
  headers: Answer["headers"];
  view: View;
}

export interface Asked {
  method: string;
  /** As in the request: with a query, if there is one. */
  path: string;
  /** Each Host header. */
  hosts: readonly string[];
  /** The header Sec-Fetch-Site: which site's page makes the request, as the browser says; undefined of anybody else. */
  site: string | undefined;
}

export interface Pages {
  sources: readonly NamedSource[];
  allowedHosts: ReadonlySet<string>;
  /** Never rejects. */
  metrics(): Promise<Answer>;
  files: BundledFiles;
  /** No more viewers fit. */
  isFull(): boolean;
}

const ALWAYS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };
const OF_PAGE = {
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
};

export function answerTo({ method, path, hosts, site }: Asked, pages: Pages): Answer | Events | Promise<Answer> {
  if (!isAllowedHost(hosts, pages.allowedHosts)) return plainText(403, "the option allowedHosts has no such host");
  if (method !== "GET" && method !== "HEAD") return plainText(405, "GET and HEAD only", { Allow: "GET, HEAD" });
  const [, name = "", query = ""] = /^([^?]*)(?:\?(.*))?$/su.exec(path) ?? [];
  switch (name) {
    case "/":
      return answer(200, "text/html; charset=utf-8", DOCUMENT, OF_PAGE);
    case "/page.js":
      return file(pages.files, "page.js", "text/javascript");
    case "/page.css":
      return file(pages.files, "page.css", "text/css");
    case "/events":
      return events(method, query, site, pages);
    case "/healthz":
      return health(pages.sources, false);
    case "/readyz":
      return health(pages.sources, true);
    case "/metrics":
      return pages.metrics();
    default:
      return plainText(404, "/, /healthz, /readyz, /metrics");
  }
}

function file(files: BundledFiles, name: BundledFile, type: string): Answer {
  try {
    return answer(200, `${type}; charset=utf-8`, files.text(name), OF_PAGE);
  } catch (thrown) {
    return plainText(501, (thrown as Error).message);
  }
}

/** Another site's page could not read them, but take the places of viewers. */
function events(method: string, query: string, site: string | undefined, pages: Pages): Answer | Events {
  if (site !== undefined && site !== "same-origin" && site !== "none") return plainText(403, "for the live page only");
  if (method !== "GET") return plainText(405, "GET only", { Allow: "GET" });
  const view = viewOf(query);
  if (view === undefined) return plainText(400, "no such view");
  if (pages.isFull()) return plainText(503, "too many viewers", { "Retry-After": "5" });
  return { status: 200, headers: { "Content-Type": "text/event-stream; charset=utf-8", ...ALWAYS, ...OF_PAGE }, view };
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
