/** An SMTP server that wants TLS and a login, and then answers as the test wants. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { onTestFinished } from "vitest";
import { certificate, rawServer } from "../../support.ts";

export const PASSWORD = "secret";

export class SmtpServer {
  readonly port: number;
  /** A file with the certificate of the authority that its clients have to trust. */
  readonly trust: string;
  offersTls = true;
  /** The answers to DATA and to a text, or none. */
  onData: () => string | void = () => "354 go ahead";
  onText: () => string | void = () => "250-taken\r\n250 as number 1";
  /** The texts of mails as they came, without the dot at the end. */
  readonly texts: string[] = [];
  /** Lines that are no command, or come before the login. */
  readonly nonsense: string[] = [];
  connections = 0;
  readonly #key: string;
  readonly #cert: string;

  private constructor(port: number, trust: string, key: string, cert: string) {
    this.port = port;
    this.trust = trust;
    this.#key = key;
    this.#cert = cert;
  }

  static async start(): Promise<SmtpServer> {
    const { key, cert } = await certificate();
    const folder = await mkdtemp(join(tmpdir(), "resplice-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const trust = join(folder, "ca.pem");
    await writeFile(trust, cert);
    const port = await rawServer((socket) => server.#greet(socket));
    const server = new SmtpServer(port, trust, key, cert);
    return server;
  }

  #greet(socket: net.Socket): void {
    this.connections++;
    socket.write("220-welcome\r\n220 here\r\n");
    let isLoggedIn = false;
    const clear = converse(socket, (line) => {
      if (line.startsWith("EHLO ")) return this.offersTls ? "250-here\r\n250-8BITMIME\r\n250 STARTTLS" : "250 here";
      if (line !== "STARTTLS") return this.#onNonsense(line);
      clear.stop();
      socket.write("220 go ahead\r\n");
      const secured = new tls.TLSSocket(socket, { isServer: true, key: this.#key, cert: this.#cert });
      secured.on("error", () => {});
      let text: string[] | undefined;
      converse(secured, (next) => {
        if (text !== undefined && next !== ".") return void text.push(next);
        if (text !== undefined) {
          this.texts.push(text.join("\n"));
          text = undefined;
          return this.onText();
        }
        if (next.startsWith("EHLO ")) return "250-here\r\n250-8BITMIME\r\n250 AUTH PLAIN";
        if (next.startsWith("AUTH PLAIN ")) {
          isLoggedIn = next === `AUTH PLAIN ${Buffer.from(`\0me\0${PASSWORD}`).toString("base64")}`;
          return isLoggedIn ? "235 come in" : "535 wrong password";
        }
        if (isLoggedIn && next === "DATA") {
          const answer = this.onData();
          if (answer?.startsWith("354") !== false) text = [];
          return answer;
        }
        const isKnown = isLoggedIn && /^(?:RSET|MAIL FROM:<me@here>|RCPT TO:<you@there>)$/u.test(next);
        return isKnown ? "250 fine" : this.#onNonsense(next);
      });
      return undefined;
    });
  }

  #onNonsense(line: string): string {
    this.nonsense.push(line);
    return "500 what?";
  }
}

/** Hands each line on, and writes what is answered. */
function converse(socket: net.Socket, onLine: (line: string) => string | void): { stop(): void } {
  let rest = "";
  const onData = (chunk: Buffer): void => {
    const lines = (rest + String(chunk)).split("\r\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = onLine(line);
      if (typeof answer === "string" && socket.writable) socket.write(`${answer}\r\n`);
    }
  };
  socket.on("data", onData);
  return { stop: () => socket.off("data", onData) };
}
