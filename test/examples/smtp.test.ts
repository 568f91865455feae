import { expect, test, vi } from "vitest";
import { deliver, openSmtp } from "../../examples/smtp.ts";
import { manage, relayTo, unusedPort } from "../support.ts";
import { example, type Program } from "./support/program.ts";
import { PASSWORD, SmtpServer } from "./support/smtp-server.ts";

/** Sends mails to the server at `port`. */
function sender(server: SmtpServer, port: number, password: string): Program {
  vi.stubEnv("SMTP_USER", "me");
  vi.stubEnv("SMTP_PASSWORD", password);
  vi.stubEnv("NODE_EXTRA_CA_CERTS", server.trust);
  const program = example("smtp", "localhost", port, "me@here", "you@there");
  vi.unstubAllEnvs();
  return program;
}

test("a mail is accepted, refused, to be sent later, or nobody knows", { timeout: 30_000 }, async () => {
  const server = await SmtpServer.start();
  const relay = await relayTo(server.port);
  const program = sender(server, relay.port, PASSWORD);
  const send = async (text: string): Promise<string> => {
    const from = program.lines.length;
    program.write(text);
    return (await program.line(/^(?:accepted|refused|later|maybe): .*$/u, from))[0];
  };

  expect(await send(".dot")).toBe("accepted: .dot: 250-taken 250 as number 1");
  expect(server.texts.at(-1)).toBe("From: <me@here>\nTo: <you@there>\n\n..dot");
  server.onText = () => "554 no";
  expect(await send("spam")).toBe("refused: spam: 554 no");
  server.onData = () => "451 no room";
  expect(await send("one")).toBe("later: one: 451 no room");
  expect(server.connections).toBe(1);

  server.onData = () => "421 going down";
  expect(await send("two")).toBe("later: two: 421 going down");
  server.onData = () => "354 go ahead";
  server.onText = () => relay.cut("rst"); // the server has taken the text, and its answer is lost
  expect(await send("three")).toMatch(/^maybe: three: /u);
  server.onData = () => relay.cut("rst");
  expect(await send("four")).toMatch(/^later: four: /u);
  server.onData = () => "354 go ahead\r\n421 going down"; // the connection is over before the text is sent
  expect(await send("five")).toBe("later: five: the connection that the message is for is gone");

  server.onData = () => "354 go ahead";
  server.onText = () => "250 taken";
  expect(await send("six")).toBe("accepted: six: 250 taken");
  program.process.stdin.end();
  expect(await program.exited).toBe(0);
  // No mail was sent twice, and no text was taken for commands on the next connection.
  const bodies = server.texts.map((text) => text.split("\n").at(-1));
  expect(bodies).toEqual(["..dot", "spam", "three", "six"]);
  expect([server.nonsense, server.connections]).toEqual([[], 5]);
});

test("a wrong password ends the sender, and without TLS nothing is told", { timeout: 30_000 }, async () => {
  const server = await SmtpServer.start();
  server.offersTls = false;
  const program = sender(server, server.port, "wrong");
  program.write("a mail");
  await program.line(/^reconnecting: /u);
  server.offersTls = true;
  await program.line(/LOGIN_REFUSED|535 wrong password/u);
  expect(await program.exited).toBe(1);
  expect([server.nonsense, server.texts]).toEqual([[], []]);
});

test("a mail that is too large is refused before the server is told of it", async () => {
  const terms = { host: "127.0.0.1", port: await unusedPort(), user: undefined, password: undefined };
  const link = openSmtp(manage(), terms);
  const mail = { from: "me@here", to: ["you@there"], text: "x".repeat(32 * 1_048_576) };
  expect(await deliver(link, mail)).toEqual({ what: "refused", why: "the mail is too large" });
});
