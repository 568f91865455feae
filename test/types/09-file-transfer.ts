// A file through a Duplex: the sender ends its half, the receiver answers with the digest on the other half.
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { ConnectionManager, ServerSupervisor } from "resplice";

async function receive(path: string): Promise<void> {
  const supervisor = new ServerSupervisor({ port: 7600, mode: "bytes", allowHalfOpen: true });
  supervisor.serve(async (link) => {
    const stream = link.duplex();
    const hash = createHash("sha256");
    await pipeline(
      stream,
      async function* (source) {
        for await (const chunk of source) {
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(path),
    ).catch(async (error) => {
      link.abort("write-failed");
      throw error;
    });
    stream.end(hash.digest("hex"));
  });
  await supervisor.listen();
  process.once("SIGINT", () => void supervisor.close());
}

async function send(path: string): Promise<void> {
  await using manager = new ConnectionManager();
  const stream = manager.open({ port: 7600, mode: "bytes", allowHalfOpen: true }).duplex();
  const hash = createHash("sha256");
  const file = createReadStream(path).on("data", (chunk) => hash.update(chunk));
  const [digest] = await Promise.all([text(stream), pipeline(file, stream)]);
  if (digest !== hash.digest("hex")) throw new Error("the digests differ");
}

const [role, path] = process.argv.slice(2);
await (role === "receive" ? receive(path ?? "out") : send(path ?? "in"));
