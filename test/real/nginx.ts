/** nginx: it closes connections that are not used, and its certificate is renewed. */
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { plain, type PlainLink, RespliceError } from "../../src/index.ts";
import { type Certificate, certificate } from "../certificate.ts";
import { turned } from "../turned.ts";
import { http } from "./http-framing.ts";
import { startNginx } from "./nginx-server.ts";
import type { ServerProcess } from "./server-process.ts";
import type { RealScenario, RealStage } from "./stage.ts";

const LINKS = 500;
const REQUESTS = 20;
/** Of the links that leave it to nginx to close their connections. */
const REQUESTS_BARE = 5;
/** nginx closes a connection that was not used for so long. Requests are as far apart, a little more or less. */
const KEEPALIVE_MS = 1_000;
const NEAR_MS = 10;
const IDLE_CLOSE_MS = 800;
const DAY_MS = 86_400_000;
const REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

export const NGINX: readonly RealScenario[] = [
  { name: "nginx-idle", about: "requests as far apart as nginx keeps an unused connection", run: idle },
  { name: "nginx-certificates", about: "its certificate is renewed, and then by one that has expired", run: renewed },
];

async function idle(stage: RealStage): Promise<void> {
  const server = await startAnswering(stage);
  const links = stage.scaled(LINKS);
  const requests = stage.scaled(REQUESTS, REQUESTS_BARE);
  const bare = await ask(stage, server, { links, requests: REQUESTS_BARE });
  const { inDoubt, answered, failures, dials } = await ask(stage, server, {
    links,
    requests,
    idleCloseMs: IDLE_CLOSE_MS,
  });
  stage.row({ what: "requests in doubt", figure: inDoubt, bound: 0, unit: "" });
  // Else the requests were not near enough.
  stage.row({
    what: "without idleCloseMs",
    figure: bare.inDoubt,
    bound: 1,
    is: "at least",
    unit: "",
    note: `of ${links * REQUESTS_BARE}`,
  });
  const note = [`${dials} dials`, ...failures].join("; ");
  stage.row({ what: "requests answered", figure: answered, bound: links * requests, is: "at least", unit: "", note });
}

interface Asked {
  answered: number;
  inDoubt: number;
  dials: number;
  /** Of requests that are neither. */
  failures: string[];
}

async function ask(
  stage: RealStage,
  { port }: ServerProcess,
  { links, requests, idleCloseMs = Infinity }: { links: number; requests: number; idleCloseMs?: number },
): Promise<Asked> {
  const manager = stage.manager({ maxDialsPerSecond: 4 * links, maxDialsInFlight: links });
  const protocol = plain({ framing: http(), requests: {}, idleCloseMs });
  const asked: Asked = { answered: 0, inDoubt: 0, dials: 0, failures: [] };
  const one = async (): Promise<void> => {
    const link = manager.open({ host: "127.0.0.1", port, protocol });
    link.on("state", ({ to }) => {
      if (to === "connecting") asked.dials++;
    });
    // Not all at the same time.
    await sleep(KEEPALIVE_MS * Math.random());
    for (let n = 0; n < requests; n++) {
      await count(link.request(REQUEST), asked);
      await sleep(KEEPALIVE_MS + NEAR_MS * (2 * Math.random() - 1));
    }
  };
  await Promise.all(Array.from({ length: links }, one));
  await manager.close({ deadlineMs: 0 });
  return asked;
}

async function count(request: Promise<Buffer>, asked: Asked): Promise<void> {
  try {
    const [status] = String(await request).split("\r\n");
    if (status === "HTTP/1.1 200 OK") asked.answered++;
    else asked.failures.push(`answered ${status}`);
  } catch (error) {
    if (error instanceof RespliceError && error.delivery === "maybe") asked.inDoubt++;
    else asked.failures.push(String(error));
  }
}

async function renewed(stage: RealStage): Promise<void> {
  const now = Date.now();
  const past = { notBeforeDate: new Date(now - 2 * DAY_MS), notAfterDate: new Date(now - DAY_MS) };
  const [first, second, expired] = [await certificate(), await certificate(), await certificate("localhost", past)];
  const files = { key: join(stage.folder, "key.pem"), cert: join(stage.folder, "cert.pem") };
  const install = ({ key, cert }: Certificate): void => {
    writeFileSync(files.key, key, { mode: 0o600 });
    writeFileSync(files.cert, cert);
  };
  install(first);
  const server = await startAnswering(stage, files);
  const manager = stage.manager();
  const to = { host: "localhost", port: server.port, protocol: plain({ framing: http(), requests: {} }) };
  // Trusts the certificate that is in place now, and no other.
  const renewing = manager.open({ ...to, tls: async () => ({ ca: await readFile(files.cert) }) });
  const behind = manager.open({ ...to, tls: { ca: first.cert } });
  // Ends at any fault of the certificate, also where time would mend it.
  const strict = manager.open({
    ...to,
    tls: async () => ({ ca: await readFile(files.cert) }),
    reconnect: { shouldRetry: ({ code }) => code !== "CERTIFICATE_INVALID" },
  });
  await Promise.all([renewing, behind, strict].map((link) => link.request(REQUEST)));

  let dials = 0;
  renewing.on("state", (change) => {
    if (change.to === "connecting") dials++;
  });
  install(second);
  const isBehind = refused(behind);
  // The connections of the worker that has the old certificate are closed.
  const areLost = Promise.all([turned(renewing, "reconnecting"), turned(strict, "reconnecting")]);
  server.signal("SIGHUP");
  await areLost;
  await Promise.all([renewing.request(REQUEST), strict.request(REQUEST)]);
  stage.row({ what: "dials until the new certificate is served", figure: dials, bound: 1, unit: "" });
  stage.row({ what: "a link that trusts only the old one: ended", ...(await isBehind) });

  install(expired);
  const isStrictEnded = refused(strict);
  const found = turned(renewing, "connecting").then(() => turned(renewing, "reconnecting"));
  server.signal("SIGHUP");
  stage.row({ what: "an expired certificate that is not to be retried: ended", ...(await isStrictEnded) });
  const { error } = await found;
  const isRetried = error?.code === "CERTIFICATE_INVALID" && error.retryable;
  stage.row({
    what: "an expired certificate without `shouldRetry`: retried",
    figure: Number(isRetried),
    bound: 1,
    is: "at least",
    unit: "",
    note: `${error?.code}: ${error?.message}`,
  });

  install(second);
  server.signal("SIGHUP");
  const renewedMs = performance.now();
  await renewing.request(REQUEST);
  stage.row({
    what: "renewed: answered again after",
    figure: performance.now() - renewedMs,
    bound: 5_000,
    unit: "ms",
  });
}

/** How long after the loss of its connection the link has ended; without a bound to meet if not for the certificate. */
async function refused(link: PlainLink): Promise<{ figure: number; bound: number; unit: string; note: string }> {
  await turned(link, "reconnecting");
  const fromMs = performance.now();
  const { error } = await link.closed;
  const bound = error?.code === "CERTIFICATE_INVALID" ? 1_000 : 0;
  return { figure: performance.now() - fromMs, bound, unit: "ms", note: `${error?.code}: ${error?.message}` };
}

/** Answers each request with two bytes. `tls`: the files of its certificate. */
function startAnswering(stage: RealStage, tls?: { key: string; cert: string }): Promise<ServerProcess> {
  const certified = tls === undefined ? [] : [`ssl_certificate ${tls.cert};`, `ssl_certificate_key ${tls.key};`];
  return startNginx(stage, {
    listen: tls === undefined ? "" : "ssl",
    http: ["access_log off;", `keepalive_timeout ${KEEPALIVE_MS}ms;`],
    server: [...certified, 'location / { return 200 "ok"; }'],
  });
}
