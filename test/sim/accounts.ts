/** When a world is at rest: every message that was taken is accounted for, and where nothing may be lost, nothing was. */
import { isPatient } from "./draw.ts";
import type { End } from "./end.ts";
import { payloadSize } from "./payloads.ts";
import { type Cost, type Fault, FAULTS } from "./fault-kinds.ts";
import type { SimClient } from "./sim-client.ts";
import { Violation } from "./stage.ts";
import type { World } from "./world.ts";

export function checkAccounts(world: World, faults: readonly Fault[]): void {
  if (world.windowBudget.taken !== 0 || world.logBudget.taken !== 0) {
    violation(`the budgets leak: ${world.windowBudget.taken} and ${world.logBudget.taken} bytes`);
  }
  for (const client of world.clients) checkLink(world, client, costOf(world, client, faults));
}

/** Of the faults that touch this client's link: of what happens to another's it is to feel nothing. */
function costOf(world: World, client: SimClient, faults: readonly Fault[]): Cost {
  const costs = new Set<Cost>();
  for (const fault of faults) {
    const whose = "client" in fault ? fault.client : "everybody";
    if (whose === "everybody" || whose % world.clients.length === client.number)
      costs.add(costIn(world, client, fault));
  }
  if (world.gaveWay.has(client.number)) costs.add("losing");
  return (["ending", "losing", "moving"] as const).find((cost) => costs.has(cost)) ?? "lossless";
}

/** With a store a restart costs nothing but what the store had not heard of. */
function costIn({ options, unstored }: World, { number }: SimClient, { kind }: Fault): Cost {
  const isStored = options.commitMs > 0 && !unstored.has(number);
  if (isStored && (kind === "restart" || (kind === "route" && options.sharesStore))) return "lossless";
  return isStored && kind === "drain" ? "moving" : FAULTS[kind].cost;
}

function violation(what: string): never {
  throw new Violation(what);
}

function checkLink(world: World, { end, name, number: client }: SimClient, cost: Cost): void {
  const { options } = world;
  const links = world.servers.flatMap(({ allEnds }) => allEnds.filter((each) => each.client === client));
  if (isPatient(options)) {
    if (cost === "lossless") checkLossless(end, links, world);
    if (cost === "moving" && options.mode === "messages") checkMoved(end, links, world);
  }
  if (options.mode === "bytes") return checkStream(world, end, links);
  checkAllAccounted(end, links, options.whenSessionLost === "resend");
  // Who believed what its peer never said believes as well that it has what it never got.
  if (world.misled.has(name)) return;
  const { payloadBytes } = options;
  const limit = limitOf(world);
  const fits = (number: number): boolean => payloadSize(number, payloadBytes) <= limit;
  const isDue = (rank: number): boolean => {
    const number = end.order.numberAt(rank);
    return fits(number) && !wasDropped(end, number);
  };
  for (const link of links) {
    const heard = end.handedIn.get(link.core.session.keys.id) ?? [];
    const ranks = link.handed.map((number) => end.order.rankOf(number));
    checkNoGap(link.name, ranks, ranks[0] ?? 0, isDue);
    checkNoGap(name, heard, 0, fits);
    checkSaid(link, new Set(heard));
  }
}

function limitOf({ options: { maxMessageBytes } }: World): number {
  return Math.min(maxMessageBytes.client, maxMessageBytes.server);
}

/**
 * In one session only what is too large for it is left out, whatever becomes of the rest. `End` has checked the order.
 * `handed`: the ranks of the messages.
 */
function checkNoGap(name: string, handed: readonly number[], first: number, isDue: (rank: number) => boolean): void {
  const got = new Set(handed);
  for (let rank = first; rank < (handed.at(-1) ?? 0); rank++) {
    if (isDue(rank) && !got.has(rank)) violation(`${name}: message of rank ${rank} was left out of ${handed.join()}`);
  }
}

/** The server's messages in one session, however that ended. Of an end whose process has died nothing is known. */
function checkSaid(link: End, heard: ReadonlySet<number>): void {
  const { name, outcome, taken } = link;
  for (const number of heard)
    if (number >= taken) violation(`${name}: message ${number} was handed out, and never said`);
  checkCalls(link, (number) => heard.has(number));
  if (outcome !== undefined) checkFates(link, (number) => heard.has(number));
}

/** The client's messages, over all sessions it had. */
function checkAllAccounted(client: End, links: readonly End[], resends: boolean): void {
  const handed = new Map<number, number>();
  for (const link of links) for (const number of link.handed) handed.set(number, (handed.get(number) ?? 0) + 1);
  for (let number = 0; number < client.taken && !resends; number++) {
    const times = handed.get(number) ?? 0;
    if (times > 1) violation(`${client.name}: message ${number} was handed out ${times} times`);
  }
  checkCalls(client, (number) => handed.has(number));
  checkFates(client, (number) => handed.has(number));
}

/** A byte stream has one session. Its calls were told the truth, in both directions. */
function checkStream(world: World, client: End, links: readonly End[]): void {
  if (world.misled.has(client.name)) return;
  const { id } = client.core.session.keys;
  const servers = links.filter(({ core }) => core.session.keys.id === id);
  checkCallsOfStream(client, Math.max(0, ...servers.map(({ bytesHanded }) => bytesHanded)));
  for (const server of servers) checkCallsOfStream(server, client.bytesHanded);
}

function checkCallsOfStream({ name, awaited }: End, handedTo: number): void {
  for (const { covers, piece } of awaited.delivered) {
    if (piece === undefined || piece.to <= handedTo) continue;
    violation(`${name}: a call for ${covers} up to ${piece.to} was told "delivered", and ${handedTo} were handed out`);
  }
  for (const { call, delivery } of awaited.lost) {
    const { covers, piece } = call;
    if (covers !== "message" || delivery !== "not-sent" || piece === undefined || piece.from >= handedTo) continue;
    violation(`${name}: the piece at ${piece.from} is "not sent", and ${handedTo} bytes were handed out`);
  }
}

/** Calls that waited for acceptance were told the truth. */
function checkCalls(from: End, isHanded: (number: number) => boolean): void {
  const { name, awaited, reported, tooLarge, order } = from;
  for (const { covers, number, reportedBefore } of awaited.delivered) {
    const before = new Set(reported.slice(0, reportedBefore).map((report) => report.number));
    const last = order.rankOf(number);
    for (let rank = covers === "message" ? last : 0; rank <= last; rank++) {
      const covered = order.numberAt(rank);
      if (isHanded(covered) || before.has(covered) || tooLarge.has(covered) || wasDropped(from, covered)) continue;
      violation(
        `${name}: a call for ${covers} up to ${number} was told "delivered", and ${covered} was not handed out`,
      );
    }
  }
  for (const { call, delivery, from: first, to } of awaited.lost) {
    // What a call for one message was told is among the reports.
    if (call.covers === "message") continue;
    const covered = reported.slice(first, to).filter(({ number }) => order.rankOf(number) <= order.rankOf(call.number));
    const worst = covered.find((report) => report.delivery === "maybe") ?? covered[0];
    if (worst?.delivery === delivery) continue;
    violation(`${name}: a call for everything up to ${call.number} was told "${delivery}", not "${worst?.delivery}"`);
  }
}

/** Each message that an end has taken was handed out at the other, reported, once and truly, or too large. */
function checkFates(from: End, isHanded: (number: number) => boolean): void {
  const { name } = from;
  const reported = new Map(from.reported.map(({ number, delivery }) => [number, delivery]));
  if (reported.size !== from.reported.length) violation(`${name}: a message was reported twice`);
  for (let number = 0; number < from.taken; number++) {
    const report = reported.get(number);
    const handed = isHanded(number);
    if (handed && report === "not-sent") violation(`${name}: message ${number} was handed out, but is "not sent"`);
    const dropped = wasDropped(from, number);
    if (handed && dropped) violation(`${name}: message ${number} was handed out, but the queue has dropped it`);
    if (report !== undefined && dropped) violation(`${name}: message ${number} was reported and dropped`);
    if (!handed && report === undefined && !from.tooLarge.has(number) && !dropped) {
      violation(`${name}: message ${number} vanished; ${from.describe()}`);
    }
  }
}

/** By a policy of its queue, which has checked the reason. */
function wasDropped({ backlog }: End, number: number): boolean {
  return backlog?.dropped.has(number) === true;
}

function checkLossless(client: End, links: readonly End[], world: World): void {
  const [only] = links;
  if (links.length !== 1 || only === undefined) violation(`${client.name}: ${links.length} links where one would do`);
  checkExactly(client, only, world);
  checkExactly(only, client, world);
}

/** Over all the sessions that it moved through: exactly once and in order, and nothing in doubt, either way. */
function checkMoved(client: End, links: readonly End[], world: World): void {
  const { payloadBytes } = world.options;
  const limit = limitOf(world);
  const { name } = client;
  if (client.outcome !== "closed") violation(`${name} ended ${client.outcome}`);
  // The server's application ended by itself while the client was about to go on elsewhere: what waited for that stays.
  const endedMeanwhile = client.core.session.sender.endKind === "moved";
  const inOrder = links.toSorted((a, b) => a.ordinal - b.ordinal);
  for (const link of inOrder) if (link.outcome !== "closed") violation(`${link.name} ended ${link.outcome}`);
  for (const end of [client, ...inOrder]) {
    const doubtful = end.reported.filter(
      ({ number, delivery }) =>
        payloadSize(number, payloadBytes) <= limit && !(endedMeanwhile && delivery === "not-sent"),
    );
    if (doubtful.length > 0) violation(`${end.name} reported ${JSON.stringify(doubtful)} of a link that moved`);
  }
  const sentBy = (end: End): number[] => {
    const reported = new Set(end.reported.map(({ number }) => number));
    const taken = Array.from({ length: end.taken }, (_, number) => number);
    const sent = taken.filter(
      (number) => payloadSize(number, payloadBytes) <= limit && !reported.has(number) && !wasDropped(end, number),
    );
    return sent.toSorted((one, other) => end.order.rankOf(one) - end.order.rankOf(other));
  };
  const up = inOrder.flatMap(({ handed }) => handed);
  const sent = sentBy(client);
  if (up.join() !== sent.join()) violation(`the servers got ${up.join()} of ${sent.join()} that ${name} sent`);
  const down = inOrder.flatMap(sentBy);
  if (client.handed.join() !== down.join()) violation(`${name} got ${client.handed.join()}, not ${down.join()}`);
}

/** Exactly once and in order: `End` has checked the order. */
function checkExactly(from: End, to: End, world: World): void {
  if (from.outcome !== "closed") violation(`${from.name} ended ${from.outcome}`);
  if (!from.allTaken) violation(`${from.name} could send only ${from.taken}`);
  if (world.options.mode === "bytes") {
    if (to.bytesHanded !== from.bytesTaken) violation(`${to.name} got ${to.bytesHanded} of ${from.bytesTaken} bytes`);
    return;
  }
  // The server's limit was not known when these were taken.
  const limit = limitOf(world);
  if (world.options.payloadBytes <= limit && from.reported.length > 0) {
    violation(`${from.name} reported ${from.reported.length} messages of a link that closed`);
  }
  const sent = from.taken - from.tooLarge.size - from.reported.length - (from.backlog?.dropped.size ?? 0);
  if (to.handed.length !== sent) violation(`${to.name} got ${to.handed.length} of ${sent} messages`);
}
