import net from "node:net";
import { rawServer } from "../support.ts";

/** A proxy that holds back what a client says after its HELLO, until it is opened. */
export async function holdingAfterHello(
  port: number,
): Promise<{ port: number; welcomed: Promise<void>; open: () => void }> {
  const welcome = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const proxy = await rawServer((client) => {
    const server = net.connect(port, "127.0.0.1");
    let said = 0;
    client.on(
      "data",
      (chunk) => void (said++ === 0 ? server.write(chunk) : gate.promise.then(() => server.write(chunk))),
    );
    server.on("data", (chunk) => {
      client.write(chunk);
      welcome.resolve();
    });
    server.on("error", () => {});
    server.on("close", () => client.destroy());
    client.on("close", () => server.destroy());
  });
  return { port: proxy, welcomed: welcome.promise, open: gate.resolve };
}
