/** The servers' end of a soak, in a process of its own. */
import { type Link, ServerSupervisor, type ServerSupervisorOptions } from "../../src/index.ts";
import { answerCalls } from "../../bench/calls.ts";
import { footprint, type Footprint, Peak } from "../endurance/footprint.ts";
import { converse } from "./conversation.ts";
import { type Account, type Kind, MANUAL, type Server, SERVERS } from "./kinds.ts";
import { Watch } from "./watch.ts";

export type ServerCommands = {
  listen: (certificate: { key: string; cert: string }) => Promise<Record<Server, number>>;
  /** Of the links that have ended since it was last asked, and how many sessions there are still. */
  take: () => { accounts: Account[]; sessions: number };
  /** Since the last time it was asked for. */
  peak: () => Partial<Footprint>;
  footprint: () => Promise<Footprint>;
  close: () => Promise<Footprint>;
};

const OPTIONS: Record<Server, Partial<ServerSupervisorOptions>> = {
  messages: {},
  manual: { manualAcceptance: MANUAL },
  bytes: { mode: "bytes" },
  tls: {},
};

const watch = new Watch();
const supervisors = new Map<Server, ServerSupervisor>();
let accounts: Account[] = [];
let peak = new Peak();

async function serve(link: Link): Promise<void> {
  watch.made(link);
  const { id, kind } = JSON.parse(String(link.openPayload)) as { id: number; kind: Kind };
  const account = await converse({ id, kind, side: "server", link, stop: undefined, never: watch.never });
  accounts.push(account);
}

function counts(): Record<string, number> {
  const listeners = [...supervisors.values()].flatMap((each) =>
    each.eventNames().map((name) => each.listenerCount(name)),
  );
  return { ...watch.counts(), "server listeners": listeners.reduce((sum, count) => sum + count, 0) };
}

answerCalls({
  listen: async (certificate) => {
    const ports = {} as Record<Server, number>;
    for (const name of SERVERS) {
      const supervisor = new ServerSupervisor({
        port: 0,
        host: "127.0.0.1",
        allowHalfOpen: true,
        ...OPTIONS[name],
        ...(name === "tls" ? { tls: certificate } : {}),
      });
      supervisors.set(name, supervisor);
      supervisor.serve(serve);
      ports[name] = (await supervisor.listen()).port;
    }
    setInterval(() => peak.look(), 200).unref();
    return ports;
  },
  take: () => {
    const taken = accounts;
    accounts = [];
    const sessions = [...supervisors.values()].reduce((sum, supervisor) => {
      const { connected, waiting } = supervisor.stats().sessions;
      return sum + connected + waiting;
    }, 0);
    return { accounts: taken, sessions };
  },
  peak: () => {
    const { most } = peak;
    peak = new Peak();
    return most;
  },
  footprint: () => footprint(counts),
  close: async () => {
    await Promise.all([...supervisors.values()].map((supervisor) => supervisor.close()));
    supervisors.clear();
    return footprint(counts);
  },
} satisfies ServerCommands);
