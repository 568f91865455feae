import type { Deliver, FrameDecoder, Framing } from "../../src/index.ts";

const HEAD_END = "\r\n\r\n";

/** HTTP/1.1 with responses that have a Content-Length: a message is a head and its body. Requests are sent as they are. */
export function http(): Framing {
  return {
    name: "http",
    encode: (message) => [message],
    decoder: () => new ResponseDecoder(),
  };
}

class ResponseDecoder implements FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  decode(chunk: Buffer, deliver: Deliver): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (let bytes = firstBytes(this.#rest); bytes <= this.#rest.length; bytes = firstBytes(this.#rest)) {
      deliver(this.#rest.subarray(0, bytes));
      this.#rest = this.#rest.subarray(bytes);
    }
  }

  end(): void {
    if (this.#rest.length > 0) throw new Error("the server has ended within a response");
  }
}

/** Of the first response; Infinity while its head is not whole. */
function firstBytes(stream: Buffer): number {
  const headEnd = stream.indexOf(HEAD_END);
  if (headEnd === -1) return Infinity;
  const [, length] = /^content-length: *(\d+)\r?$/im.exec(stream.toString("latin1", 0, headEnd)) ?? [];
  if (length === undefined) throw new Error("a response without Content-Length");
  return headEnd + HEAD_END.length + Number(length);
}
