import { describe, expect, test } from "vitest";
import {
  encodePositionsFrame,
  encodeRefuse,
  encodeToken,
  FrameType,
  HELLO_MAGIC,
} from "../../../src/core/wire/frames.ts";
import { FIRST_BYTES, looksLike, mayBeFrames, strangerIn } from "../../../src/core/wire/strangers.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

describe("who speaks", () => {
  test.each<[string, string]>([
    ["HTTP", "HTTP/1.1 400 Bad Request\r\n"],
    ["HTTP", "GET / HTTP/1.1\r\n"],
    ["HTTP", "PRI * HTTP/2.0\r\n"],
    ["TLS", "\x15\x03\x01\0\x02\x02\x46"],
    ["TLS", "\x16\x03\x03\0\x7a\x02"],
    ["SSH", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["SMTP or FTP", "220 mail.example ESMTP\r\n"],
    ["SMTP or FTP", "554-no\r\n"],
    ["Redis", "-ERR unknown command\r\n"],
    ["Redis", "-NOAUTH Authentication required.\r\n"],
    ["Redis", "*1\r\n$4\r\nPING\r\n"],
    ["POP3", "+OK ready\r\n"],
    ["IMAP", "* OK IMAP4rev1 ready\r\n"],
    ["AMQP", "AMQP\0\0\x09\x01"],
    ["NATS", 'INFO {"server_id":"x"}\r\n'],
    ["NATS", 'CONNECT {"verbose":false}\r\n'],
    ["VNC", "RFB 003.008\n"],
    ["MySQL", "\x4a\0\0\0\x0a8.0.36\0"],
    ["a PROXY header", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"],
    ["a PROXY header", "\r\n\r\n\0\r\nQUIT\n\x21"],
  ])("%s: %j", (who, text) => {
    expect(strangerIn(bytes(text))).toBe(who);
    expect(looksLike(bytes(text))).toContain(`; it looks like ${who}`);
    expect(mayBeFrames(bytes(text))).toBe(false);
  });

  test("a client of our own", () => {
    const hello = Buffer.alloc(8 + 180);
    hello[0] = FrameType.hello;
    hello.writeUInt32BE(HELLO_MAGIC, 8);
    expect(strangerIn(hello)).toBe("resplice");
    expect(strangerIn(hello.subarray(0, 11))).toBeUndefined();
  });

  test.each(["", "H", "hello", "GETTING", "\x16\x02\0", "99 bottles", "\0\0\0\0\0\0\0\0\0\0\0\0"])(
    "nobody that is known: %j",
    (text) => {
      expect(strangerIn(bytes(text))).toBeUndefined();
      expect(looksLike(bytes(text))).toBe("");
    },
  );

  test("only the first bytes count, also of a view", () => {
    const whole = bytes(`xx${"SSH-2.0-".padEnd(100, "x")}`);
    expect(strangerIn(whole)).toBeUndefined();
    expect(strangerIn(whole.subarray(2))).toBe("SSH");
  });
});

test("frames of our own are told from anything else", () => {
  const positions = { received: 0, accepted: 0, window: 1, stop: false, done: false };
  for (const frame of [encodeToken("ping", 5), encodeRefuse("stale", 0), encodePositionsFrame("ack", positions)])
    expect(mayBeFrames(frame)).toBe(true);
  for (const other of [bytes("\x01\0\0"), bytes("\x7f\0\0\0"), bytes("\x07\0\x01\0"), bytes("\x07\0\0\x01")])
    expect(mayBeFrames(other)).toBe(false);
});

test("a HELLO that is sent back shows no secret in so many bytes", () => {
  // The secret begins at byte 96 of the body: docs/protocol.md.
  expect(FIRST_BYTES).toBeLessThan(8 + 96);
});
