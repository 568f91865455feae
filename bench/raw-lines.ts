/** A raw socket that speaks lines: the reference of a plain link, and the server of both. */
import { lines } from "resplice";
import { RawConversation } from "./raw.ts";

const LINE_FEED = 0x0a;

export class RawLines extends RawConversation {
  override trySend(line: Buffer): boolean {
    if (!this.hasRoom(line.length + 1)) return false;
    this.block.set(line, this.used);
    this.used += line.length + 1;
    this.block[this.used - 1] = LINE_FEED;
    return true;
  }

  override onMessage(handler: (line: Buffer) => void): void {
    const decoder = lines().decoder({ maxMessageBytes: 1_024 });
    this.socket.on("data", (chunk: Buffer) => decoder.decode(chunk, handler));
  }
}
