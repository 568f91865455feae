// A file through a stream: the sender ends its half, the receiver answers with the digest on the other half.
//
//     npm run example -- examples/file-transfer.ts receive 7600 copy.bin
//     npm run example -- examples/file-transfer.ts send 7600 original.bin
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { ConnectionManager, ServerSupervisor } from "resplice";

const [role, port = "7600", path = "file.bin"] = process.argv.slice(2);
await (role === "receive" ? receive(Number(port)) : send(Number(port)));

async function receive(at: number): Promise<void> {
  const supervisor = new ServerSupervisor({ port: at, mode: "bytes", allowHalfOpen: true });
  supervisor.serve(async (link) => {
    const stream = link.duplex();
    const hash = createHash("sha256");
    try {
      await pipeline(
        stream,
        async function* (source: AsyncIterable<Buffer>) {
          for await (const chunk of source) {
            hash.update(chunk);
            yield chunk;
          }
        },
        createWriteStream(path),
        { end: true },
      );
    } catch (error) {
      link.abort("write-failed");
      throw error;
    }
    stream.end(hash.digest("hex"));
    await once(stream, "finish"); // the sender has the digest
    console.log("received");
  });
  const { port: listening } = await supervisor.listen();
  console.log(`listening on ${listening}`);
  process.once("SIGTERM", () => void supervisor.close());
}

async function send(to: number): Promise<void> {
  const manager = new ConnectionManager();
  const stream = manager.open({ port: to, mode: "bytes", allowHalfOpen: true }).duplex();
  const hash = createHash("sha256");
  const file = createReadStream(path).on("data", (chunk) => hash.update(chunk));
  const [digest] = await Promise.all([text(stream), pipeline(file, stream)]);
  await manager.close();
  if (digest !== hash.digest("hex")) throw new Error("the digests differ");
  console.log(`sent ${digest}`);
}
