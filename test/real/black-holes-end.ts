/** Either end of black-holes.ts, on a host of its own: servers on all of its addresses; or a link to a name. */
import { once } from "node:events";
import net, { isIP, type LookupFunction } from "node:net";
import { ConnectionManager, lines, plain, ServerSupervisor } from "../../src/index.ts";

export type HolesProtocol = keyof typeof PORTS;
export interface DialPlan {
  protocol: HolesProtocol;
  /** Of the name, in this order. */
  addresses: string[];
}
/** The link is connected. */
export interface Dialled {
  ms: number;
  address: string | undefined;
}

const PORTS = { durable: 7_000, plain: 7_001 } as const;
const [, , argument = ""] = process.argv;

if (argument === "listen") await listen();
else await dial(JSON.parse(argument) as DialPlan);

async function listen(): Promise<void> {
  const supervisor = new ServerSupervisor({ host: "0.0.0.0", port: PORTS.durable });
  supervisor.serve((link) => link.onMessage(() => {}));
  await supervisor.listen();
  await once(net.createServer().listen(PORTS.plain, "0.0.0.0"), "listening");
  console.log("listening");
}

/** A line when the dial begins, and one when the link is connected. */
async function dial({ protocol, addresses }: DialPlan): Promise<void> {
  const lookup: LookupFunction = (_, __, answer) => {
    answer(
      null,
      addresses.map((address) => ({ address, family: isIP(address) })),
    );
  };
  const target = { host: "many.example", port: PORTS[protocol], lookup };
  const manager = new ConnectionManager();
  const link =
    protocol === "durable" ? manager.open(target) : manager.open({ ...target, protocol: plain({ framing: lines() }) });
  const beganMs = performance.now();
  link.once("state", () => console.log("dialling"));
  await link.connected();
  const dialled: Dialled = { ms: performance.now() - beganMs, address: link.remoteAddress };
  console.log(JSON.stringify(dialled));
}
