/** Links whose servers are found by names. The resolver is dnsmasq, the only one of a network and of a resolv.conf of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { NamesFigures, NamesPlan } from "./names-client.ts";
import { installed } from "./install.ts";
import type { RealScenario, RealStage } from "./stage.ts";

const CLIENT = fileURLToPath(new URL("names-client.ts", import.meta.url));
const LINKS = 1_000;
/** Links look up so many hosts while the resolver has stopped. */
const HOSTS = 3;

export const DNSMASQ: readonly RealScenario[] = [
  {
    name: "dnsmasq",
    about: "SRV records change their order, a target is removed, and the resolver stops while 1,000 links dial",
    run: namesChange,
  },
];

async function namesChange(stage: RealStage): Promise<void> {
  const links = stage.scaled(LINKS, 100);
  const command = installed("dnsmasq", "dnsmasq-base");
  const { ordered, left, srvQueries, stopped } = await inItsOwnNetwork(stage, { folder: stage.folder, command, links });
  const all = { bound: links, is: "at least", unit: "links" } as const;
  const note = `of ${links}`;
  stage.row({ what: "SRV order changed, at the new first target", figure: ordered, ...all, note });
  stage.row({ what: "SRV target removed, at the other one", figure: left, ...all });
  // Links share a query that is under way, and no dial needs two.
  const dials = 3 * links;
  stage.row({
    what: "SRV queries",
    figure: srvQueries,
    bound: dials,
    unit: "queries",
    note: `for ${dials} dials`,
  });
  const { lookups, lookupsAtOnce, fileMs, idleFileMs, backMs } = stopped;
  stage.row({
    what: "resolver stopped, lookups of a host at a time",
    figure: lookupsAtOnce,
    bound: 1,
    unit: "",
  });
  stage.row({
    what: "resolver stopped, lookups",
    figure: lookups,
    bound: HOSTS,
    is: "at least",
    unit: "",
    note: `of ${HOSTS} hosts in 12 s`,
  });
  // On a busy machine both wait: what is above the idle process is ours.
  stage.row({
    what: "resolver stopped, reading a file, p99 above that of an idle process",
    figure: Math.max(0, fileMs - idleFileMs),
    bound: 50,
    unit: "ms",
    note: `${fileMs.toFixed(1)} ms; the idle process ${idleFileMs.toFixed(1)} ms`,
  });
  stage.row({ what: "resolver back, all links back within", figure: backMs, bound: 10_000, unit: "ms" });
}

/** Where getaddrinfo asks dnsmasq, whatever this machine's resolver is. All of its processes end with it. */
async function inItsOwnNetwork(stage: RealStage, plan: NamesPlan): Promise<NamesFigures> {
  const resolvConf = join(stage.folder, "resolv.conf");
  writeFileSync(resolvConf, "nameserver 127.0.0.1\n");
  const script = 'ip link set lo up && mount --bind "$0" /etc/resolv.conf && exec "$@"';
  const dying = ["--pdeathsig", "KILL", installed("unshare", "util-linux")];
  const apart = ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"];
  const client = [process.execPath, CLIENT, JSON.stringify(plan)];
  const child = spawn(
    installed("setpriv", "util-linux"),
    [...dying, ...apart, "sh", "-c", script, resolvConf, ...client],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  stage.onClose(() => void child.kill("SIGKILL"));
  const [output, complaint, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (code !== 0) throw new Error(`the client ended with ${code}: ${complaint.trim()}`);
  return JSON.parse(output) as NamesFigures;
}
