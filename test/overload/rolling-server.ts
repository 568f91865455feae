/**
 * The server of `rolling-restart.ts`: answers each number, and remembers which it got. It listens as soon as the port
 * is free, and tells what it got when a signal has ended it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Closable, closeOnSignal, RespliceError, ServerSupervisor } from "../../src/index.ts";

export type Order = { port: number; deadlineMs: number };
/** `got`: the numbers that came from each client, by its open payload. `cutOff`: why links were cut off. */
export type Told = { port: number } | { got: Record<string, number[]>; cutOff: string[] };

const RETRY_MS = 20;
const host = "127.0.0.1";
const got: Record<string, number[]> = {};

function tell(told: Told, then: () => void = () => {}): void {
  process.send?.(told, then);
}

async function listen(port: number): Promise<ServerSupervisor> {
  for (;;) {
    const supervisor = new ServerSupervisor({ port, host });
    supervisor.serve(async (link) => {
      const mine = (got[String(link.openPayload)] ??= []);
      for await (const message of link) {
        mine.push(Number(String(message)));
        await link.send(message);
      }
    });
    try {
      tell(await supervisor.listen());
      return supervisor;
    } catch (error) {
      if (!(error instanceof RespliceError && error.code === "LISTEN_FAILED")) throw error;
      await sleep(RETRY_MS);
    }
  }
}

process.once("message", ({ port, deadlineMs }: Order) => {
  void listen(port).then((supervisor) => {
    let cutOff: string[] = [];
    const server: Closable = {
      close: async (options) => {
        const report = await supervisor.close(options);
        cutOff = (report.cutOff ?? []).map(({ reason }) => reason);
        return report;
      },
    };
    closeOnSignal(server, { deadlineMs, exit: (code) => tell({ got, cutOff }, () => process.exit(code)) });
  });
});
