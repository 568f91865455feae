import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Answer, type Asked, answerTo, type Events, plainText } from "../../src/monitor/answers.ts";
import { BundledFiles, CONTENT_SECURITY_POLICY } from "../../src/monitor/live/files.ts";
import type { Health } from "../../src/link/types.ts";
import type { NamedSource } from "../../src/monitor/sources.ts";
import { Telemetry } from "../../src/telemetry/telemetry.ts";
import { bundledFolder } from "./live/bundled.ts";

const NONE = { links: () => [], counts: () => ({}), levels: () => ({}) };
const METRICS = plainText(200, "metrics");
const metrics = vi.fn<() => Promise<Answer>>(() => Promise.resolve(METRICS));

beforeEach(() => void metrics.mockClear());

function source(health: Health, name = ""): NamedSource {
  const telemetry = new Telemetry("server.metrics", { logger: undefined, metricsIntervalMs: 0 }, NONE, () => 0);
  return { name, observed: { kind: "server", telemetry, health: () => health, limits: () => ({}) } };
}

const HEALTHY: Health = { status: "healthy", reasons: [] };
const DEGRADED: Health = { status: "degraded", reasons: ["limits.connections turns clients away"] };
const DOWN: Health = { status: "down", reasons: ["the server is draining"] };

const allowedHosts = new Set(["metrics.internal"]);

async function askAny(
  path: string,
  asked: Partial<Asked> = {},
  { sources = [source(HEALTHY)], files = "/nowhere", isFull = false } = {},
): Promise<Answer | Events> {
  const request = { method: "GET", path, hosts: ["localhost:9400"], site: undefined, ...asked };
  return await answerTo(request, {
    sources,
    allowedHosts,
    metrics,
    files: new BundledFiles(() => files),
    isFull: () => isFull,
  });
}

async function ask(path: string, sources?: NamedSource[], asked?: Partial<Asked>): Promise<Answer> {
  const given = await askAny(path, asked, sources && { sources });
  if ("view" in given) throw new Error(`${path} goes on`);
  return given;
}

describe("/readyz and /healthz", () => {
  test.each([
    ["healthy", [HEALTHY, HEALTHY], 200],
    ["degraded", [HEALTHY, DEGRADED], 200],
    ["down", [DEGRADED, DOWN, HEALTHY], 503],
  ] as const)("%s: the worst of all counts, and only /readyz fails", async (status, healths, code) => {
    const sources = healths.map((health, at) => source(health, `s${at}`));
    const [ready, alive] = [await ask("/readyz", sources), await ask("/healthz", sources)];
    expect([ready.status, alive.status]).toEqual([code, 200]);
    expect(JSON.parse(ready.body)).toEqual({
      status,
      sources: healths.map((health, at) => ({ kind: "server", name: `s${at}`, ...health })),
    });
    expect(alive.body).toBe(ready.body);
    expect(ready.headers).toEqual({
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    });
  });

  test("a source without a name has none; a reason is printable", async () => {
    const { body } = await ask("/readyz", [source({ status: "degraded", reasons: ["\u001b[2J"] })]);
    expect(JSON.parse(body)).toMatchObject({
      sources: [{ kind: "server", status: "degraded", reasons: ["\\x1b[2J"] }],
    });
    expect(body).not.toContain("name");
  });
});

test("a query changes nothing", async () => {
  expect((await ask("/readyz?verbose")).status).toBe(200);
  expect(await ask("/metrics?name[]=x")).toBe(METRICS);
});

test.each(["", "/metrics/", "/healthz/x", "//metrics", "http://localhost/metrics", "*"])("%j: 404", async (path) => {
  expect((await ask(path)).status).toBe(404);
  expect(metrics).not.toHaveBeenCalled();
});

test.each(["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""])("%j: 405", async (method) => {
  const { status, headers } = await ask("/metrics", [], { method });
  expect([status, headers["Allow"]]).toEqual([405, "GET, HEAD"]);
});

test("HEAD is answered as GET is", async () => {
  expect(await ask("/metrics", [], { method: "HEAD" })).toBe(METRICS);
});

test.each([[["evil.example"]], [[]], [["localhost", "localhost"]]])(
  "the Host header %j: 403, whatever is asked",
  async (hosts) => {
    for (const path of ["/healthz", "/readyz", "/metrics", "/", "/page.js", "/events"]) {
      expect((await ask(path, [source(HEALTHY)], { hosts })).status).toBe(403);
    }
    expect(metrics).not.toHaveBeenCalled();
    expect((await ask("/healthz", [source(HEALTHY)], { hosts: ["metrics.internal:9400"] })).status).toBe(200);
  },
);

describe("the live page", () => {
  test("its document names two files, and nothing from elsewhere; no script and no style stands in it", async () => {
    const { status, headers, body } = await ask("/?filter=x");
    expect([status, headers["Content-Type"]]).toEqual([200, "text/html; charset=utf-8"]);
    expect(
      [...body.matchAll(/(?:src|href)="([^"]*)"/gu)].map(([, to = ""]) => to.replace(/^data:.*/u, "data:")),
    ).toEqual(["data:", "page.css", "page.js"]);
    expect(body).not.toMatch(/<style|style=|<script(?! type="module" src="page.js"><)|\son\w+=/u);
  });

  test("each of its parts says what a browser may do with it", async () => {
    expect(CONTENT_SECURITY_POLICY).toMatch(/default-src 'none'.*frame-ancestors 'none'.*require-trusted-types-for/u);
    expect(CONTENT_SECURITY_POLICY).not.toMatch(/unsafe|\*|https?:/u);
    const files = bundledFolder();
    for (const path of ["/", "/page.js", "/page.css", "/events"]) {
      expect((await askAny(path, {}, { files })).headers).toMatchObject({
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
      });
    }
  });

  test("script and style are those of the bundle; without it the page says what to do", async () => {
    const files = bundledFolder();
    expect(await askAny("/page.js", {}, { files })).toMatchObject({ status: 200, body: "script\n" });
    expect((await askAny("/page.css", {}, { files })).headers["Content-Type"]).toBe("text/css; charset=utf-8");
    expect(await askAny("/page.js")).toMatchObject({
      status: 501,
      body: expect.stringContaining("npm run build") as string,
    });
  });

  test("events have the view that is asked for", async () => {
    const given = await askAny("/events?filter=Edge&states=connected&order=rtt&from=50&rows=10");
    expect(given).toMatchObject({
      status: 200,
      headers: { "Content-Type": "text/event-stream; charset=utf-8" },
      view: { words: ["edge"], states: new Set(["connected"]), order: "rtt", from: 50, rows: 10 },
    });
    expect((await ask("/events?rows=1000")).status).toBe(400);
  });

  test.each([
    [undefined, 200],
    ["same-origin", 200],
    ["none", 200],
    ["same-site", 403],
    ["cross-site", 403],
  ])("events for a page of the site %j: %d", async (site, status) => {
    expect((await askAny("/events", { site })).status).toBe(status);
  });

  test("events are for GET, and not for too many", async () => {
    expect(await ask("/events", undefined, { method: "HEAD" })).toMatchObject({
      status: 405,
      headers: { Allow: "GET" },
    });
    expect(await askAny("/events", {}, { isFull: true })).toMatchObject({
      status: 503,
      headers: { "Retry-After": "5" },
    });
  });
});
