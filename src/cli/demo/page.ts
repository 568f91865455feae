/** The live page of one of the demo's processes, on loopback, at any free port. */
import { monitor, type MonitorOptions } from "../../index.ts";
import type { PageNote } from "./messages.ts";

/** Tells the address. The page ends with its source. */
export async function openPage(sources: MonitorOptions["sources"], tell: (note: PageNote) => void): Promise<void> {
  const { host, port } = await monitor({ port: 0, sources }).listening();
  tell({ type: "page", address: `http://${host}:${port}/` });
}
