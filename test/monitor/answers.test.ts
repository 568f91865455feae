import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Answer, type Asked, answerTo, plainText } from "../../src/monitor/answers.ts";
import type { Health } from "../../src/link/types.ts";
import type { NamedSource } from "../../src/monitor/sources.ts";
import { Telemetry } from "../../src/telemetry/telemetry.ts";

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

function ask(path: string, sources: NamedSource[] = [source(HEALTHY)], asked: Partial<Asked> = {}) {
  const allowedHosts = new Set(["metrics.internal"]);
  return answerTo({ method: "GET", path, hosts: ["localhost:9400"], ...asked }, { sources, allowedHosts, metrics });
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

test.each(["/", "", "/metrics/", "/healthz/x", "//metrics", "http://localhost/metrics", "*"])(
  "%j: 404",
  async (path) => {
    expect((await ask(path)).status).toBe(404);
    expect(metrics).not.toHaveBeenCalled();
  },
);

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
    for (const path of ["/healthz", "/readyz", "/metrics", "/"]) {
      expect((await ask(path, [source(HEALTHY)], { hosts })).status).toBe(403);
    }
    expect(metrics).not.toHaveBeenCalled();
    expect((await ask("/healthz", [source(HEALTHY)], { hosts: ["metrics.internal:9400"] })).status).toBe(200);
  },
);
