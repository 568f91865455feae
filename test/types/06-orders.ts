// Orders count when the exchange has accepted them: 100 in flight, each within 5 seconds or reported.
import { ConnectionManager, RespliceError } from "resplice";
import { nextOrders, type Order, reportOrder } from "./support/orders.ts";

const manager = new ConnectionManager({ logger: console });
const link = manager.open({ host: "exchange.internal", port: 7300, tls: true, whenSessionLost: "end" });
await link.connected({ signal: AbortSignal.timeout(10_000) }); // fail the start-up, not the first order

async function place(order: Order): Promise<void> {
  try {
    await link.send(JSON.stringify(order), { until: "accepted", signal: AbortSignal.timeout(5_000) });
    await reportOrder(order.id, "accepted");
  } catch (error) {
    if (!(error instanceof RespliceError)) throw error;
    // Once it has left, an order can't be taken back: "maybe" goes to a human.
    await reportOrder(order.id, error.delivery === "not-sent" ? "cancelled" : "unknown", error.code);
  }
}

const inFlight = new Set<Promise<void>>();
for await (const order of nextOrders()) {
  const placing = place(order).finally(() => inFlight.delete(placing));
  inFlight.add(placing);
  if (inFlight.size >= 100) await Promise.race(inFlight);
  if (link.state === "closed") break;
}
await Promise.all(inFlight);
const { error } = await link.close();
if (error !== undefined) throw error;
