// Limits that are changed while a server runs, and the rates of its links.
import { lines, plain, type Limits, MiB, type PlainLimits, type RateLimits, ServerSupervisor } from "resplice";

const rates: RateLimits = {
  link: { messagesPerSecond: 1_000, bytesPerSecond: MiB },
  identity: { bytesPerSecond: 10 * MiB },
  address: { messagesPerSecond: 5_000 },
};
const limits: Limits = { connections: 5_000, connectionsPerAddress: 100, acceptsPerSecond: 2_000, rates };
export const supervisor = new ServerSupervisor({ port: 4000, authenticate: () => "alice", limits });
supervisor.setLimits({ connections: 1_000 });
const { held, refusedFor } = supervisor.stats();
export const counted: number = held.identity + (refusedFor["too many opens"] ?? 0);

const fewer: PlainLimits = { connections: 10, rates: { link: { bytesPerSecond: MiB } } };
export const ofLines = new ServerSupervisor({ port: 4001, protocol: plain({ framing: lines() }) });
ofLines.setLimits(fewer);
// @ts-expect-error a limit of sessions
ofLines.setLimits({ sessions: 1 });
// @ts-expect-error there are no identities
ofLines.setLimits({ rates: { identity: { bytesPerSecond: 1 } } });
// @ts-expect-error misspelled
supervisor.setLimits({ conections: 1 });
await Promise.all([supervisor.close(), ofLines.close()]);
