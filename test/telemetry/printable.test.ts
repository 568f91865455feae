import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { messageOf, printable } from "../../src/telemetry/printable.ts";

describe("printable()", () => {
  test("leaves ordinary text as it is, in any script", () => {
    for (const text of ["", "quota exceeded: 12 of 10", "größer als 10 €", "日本語", "مرحبا", "🙂", 'C:\\x "y"']) {
      expect(printable(text)).toBe(text);
    }
  });

  test.each([
    ["a line of its own", "no\n2026-01-01 ERROR forged", "no\\n2026-01-01 ERROR forged"],
    ["carriage return and tab", "a\r\tb", "a\\r\\tb"],
    ["ANSI", "\u001b[31mred\u001b[0m", "\\x1b[31mred\\x1b[0m"],
    ["ANSI of one byte", "\u009b31m", "\\x9b31m"],
    ["a bell, a backspace, NUL, DEL", "\u0007\b\0\u007f", "\\x07\\x08\\x00\\x7f"],
    ["bidi controls", "a\u202eb\u2066c\u200fd\u061ce", "a\\u202eb\\u2066c\\u200fd\\u061ce"],
    ["separators of lines", "a\u2028b\u2029c\u0085d", "a\\u2028b\\u2029c\\x85d"],
    ["what is invisible", "a\u200bb\ufeffc\u{e0041}d", "a\\u200bb\\ufeffc\\u{e0041}d"],
    ["half a surrogate pair", "a\ud83d!", "a\\ud83d!"],
  ])("escapes %s", (_, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test("is cut where it does not fit, and never within a character or an escape", () => {
    expect(printable("12345", 5)).toBe("12345");
    expect(printable("123456", 5)).toBe("1234…");
    expect(printable("123🙂", 5)).toBe("123🙂");
    expect(printable("1234🙂", 5)).toBe("1234…");
    expect(printable("123\u001b45", 5)).toBe("123…");
    expect(printable("x".repeat(10_000_000)).length).toBe(200);
  });

  test("holds what it promises for any text", () => {
    const text = fc.string({
      unit: fc.oneof(fc.nat(0x10_ffff).map((code) => String.fromCodePoint(code))),
      maxLength: 40,
    });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 60 }), (given, maxLength) => {
        const shown = printable(given, maxLength);
        expect(shown.length).toBeLessThanOrEqual(maxLength);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(printable(shown, maxLength)).toBe(shown);
      }),
    );
  });
});

describe("messageOf()", () => {
  test("is an error's message, or its code where it has none", () => {
    expect(messageOf(new TypeError("no"))).toBe("no");
    expect(messageOf(Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }))).toBe("ECONNREFUSED");
  });

  test("is text whatever was thrown", () => {
    const mute = {
      toString(): string {
        throw new Error("mute");
      },
    };
    expect([undefined, null, 7, "x", Symbol("s")].map(messageOf)).toEqual(["undefined", "null", "7", "x", "Symbol(s)"]);
    for (const thrown of [mute, Object.create(null), Object.assign(new Error("x"), { message: mute })]) {
      expect(messageOf(thrown)).toBe("something that cannot be shown");
    }
  });
});
