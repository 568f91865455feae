import { ConnectionManager, type KeepaliveOptions, ServerSupervisor, type TimeoutOptions } from "resplice";
import { HOST } from "../contenders.ts";
import { type Contender, DEAD_MS, PING_MS } from "./contender.ts";

const keepalive: KeepaliveOptions = { pingAfterMs: PING_MS, suspectAfterMs: DEAD_MS - PING_MS };

const timeouts: TimeoutOptions = { connectMs: DEAD_MS, handshakeMs: DEAD_MS };

/** With its defaults but for the heartbeat and what a dial may take, which are as those of the others. */
export const ours: Contender = {
  async receive(take) {
    const supervisor = new ServerSupervisor({ port: 0, host: HOST });
    supervisor.serve((link) => link.onMessage(take));
    const { port } = await supervisor.listen();
    return { port, close: async () => void (await supervisor.close()) };
  },

  async connect({ port }) {
    const manager = new ConnectionManager();
    const link = manager.open({ port, host: HOST, keepalive, timeouts });
    await link.connected();
    return { send: (message) => void link.send(message), close: async () => void (await manager.close()) };
  },
};
