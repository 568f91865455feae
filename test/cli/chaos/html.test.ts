import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { niceTop, topOf } from "../../../src/cli/chaos/charts.ts";
import { type ChaosFigures, figuresOf } from "../../../src/cli/chaos/figures.ts";
import { toHtml } from "../../../src/cli/chaos/html.ts";
import { junit } from "../../../src/cli/chaos/junit.ts";
import { Markup, markup } from "../../../src/cli/chaos/markup.ts";
import { FaultBook } from "../../../src/cli/demo/report.ts";
import { strike } from "../demo/strikes.ts";
import { ABOUT, done, type Given } from "./runs.ts";

const HOSTILE = `</dd><script>alert("1")</script>&'`;
const ESCAPED = "&lt;/dd&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;";

function html(given: Given, exitCode = 0, about = ABOUT): string {
  return toHtml(figuresOf(done(given), about, new Date(0)), exitCode);
}

function xml(given: Given, exitCode = 0): string {
  return junit(figuresOf(done(given), ABOUT, new Date(0)), exitCode);
}

describe("markup", () => {
  test("takes values as text, in elements and in attributes", () => {
    expect(markup`<p title="${HOSTILE}">${HOSTILE}</p>`.text).toBe(`<p title="${ESCAPED}">${ESCAPED}</p>`);
  });

  test("takes markup as it is", () => {
    expect(markup`<ul>${[markup`<li>${1}</li>`, new Markup("<li>2</li>")]}</ul>`.text).toBe(
      "<ul><li>1</li>\n<li>2</li></ul>",
    );
  });

  test("replaces characters that XML does not have", () => {
    expect(markup`${"a\u0000\u001B\uFFFFb\n"}`.text).toBe("a\uFFFD\uFFFD\uFFFDb\n");
  });
});

describe("the report", () => {
  test("says that nothing was lost, and what was", () => {
    expect(html({})).toContain("Nothing was lost, doubled or reordered.");
    expect(html({ lost: 2 }, 1)).toContain("Lost 2, doubled 0, reordered 0.");
    expect(html({ lost: 2 }, 1)).not.toContain("Nothing was lost");
  });

  test("says that the run failed or ended early", () => {
    expect(html({ errors: ["the sender's link: gone"] }, 1)).toContain("the sender&#39;s link: gone");
    expect(html({}, 130)).toContain("The run ended early, with 130.");
  });

  test("has no script and loads nothing", () => {
    const book = new FaultBook();
    book.made(strike({ kind: "rst" }, 50));
    const text = html({ book }, 0, { ...ABOUT, machine: HOSTILE, command: HOSTILE });
    expect(text).not.toContain("<script");
    expect(text).not.toMatch(/(?:src|href|url)\s*[=(]/);
    expect(text).toContain("default-src 'none'");
    expect(text).toContain("a &lt;path&gt;");
    expect(text).toContain("<circle");
  });

  test("allows itself its own style, and no other", () => {
    const text = html({});
    const style = /<style>(.*)<\/style>/su.exec(text)?.[1] ?? "";
    expect(text).toContain(`style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`);
    expect(text).not.toContain("style=");
  });

  test("shows a fault without a recovery, and short gaps as short ones", () => {
    const book = new FaultBook();
    book.made({ ...strike({ kind: "rst" }), outcome: "none" });
    const text = html({ book, errors: ["no recovery from rst within 30 s"] }, 1);
    expect(text).toContain('<tr class="none">');
    expect(text).toContain("<td>none</td><td>&lt; 20 ms</td>");
    expect(text).toContain('<p class="verdict bad">no recovery from rst within 30 s</p>');
  });

  test("has the throughput as a table", () => {
    const samples = [0, 100, 200].map((ms) => ({ atMs: 1_000 + ms, count: ms }));
    expect(html({ samples })).toContain("<td>0.2 s</td><td>1,000</td>");
  });

  test("of other programs' traffic: bytes, and whether it came back", () => {
    const run = done({});
    const passed = { bytes: { "to-server": 2_048, "to-client": 1 }, connections: 3 };
    const ends = { ...run.ends, counted: undefined, passed };
    const of = (book: FaultBook): ChaosFigures => {
      const all = { ...run, ends, strikes: book.strikes, result: book.result(ends, 7) };
      return figuresOf(all, { ...ABOUT, to: "db:5432" }, new Date(0));
    };
    const after = (outcome: "recovered" | "none"): ChaosFigures => {
      const book = new FaultBook();
      book.made(strike({ kind: "rst" }, outcome === "none" ? outcome : 5));
      return of(book);
    };
    const figures = of(new FaultBook());
    expect(toHtml(figures, 0)).toContain("No fault was made.");
    expect(toHtml(after("recovered"), 0)).toContain("Traffic came back after each fault.");
    expect(toHtml(after("recovered"), 130)).toContain("Traffic came back after each fault until the run ended.");
    expect(toHtml(after("none"), 1)).toContain("Traffic did not always come back.");
    expect(toHtml(figures, 0)).toContain('data-figure="toServer">2.00 KiB<');
    expect(toHtml(figures, 0)).not.toContain('data-figure="lost"');
    expect(toHtml({ ...figures, to: null, errors: ["gone"] }, 1)).toContain(
      "What was lost, doubled or reordered is not known.",
    );
    expect(junit(figures, 0)).toContain('tests="1" failures="0"');
  });

  test("a run without faults has one, too", () => {
    expect(html({})).toContain("0 faults in 10 s");
    expect(html({})).not.toMatch(/NaN|undefined|Infinity/);
  });
});

test("a scale ends at 1, 2 or 5 times a power of ten", () => {
  expect([1, 1.1, 2, 3, 5.5, 10, 1_999, 2_001].map((count) => niceTop(count))).toEqual([
    1, 2, 2, 5, 10, 10, 2_000, 5_000,
  ]);
});

test("the scale of throughput is for the usual rate, not for peaks", () => {
  const rates = [1_000, 0, 1_000, 50_000, 1_000];
  expect(topOf(rates.map((perSecond, atMs) => ({ atMs, perSecond })))).toBe(2_000);
  expect(topOf([0, 0, 0, 400].map((perSecond, atMs) => ({ atMs, perSecond })))).toBe(1_000);
  expect(topOf([])).toBe(1);
});

describe("JUnit", () => {
  test("has a test for each promise", () => {
    expect(xml({})).toContain('tests="4" failures="0" time="10.000"');
    expect(xml({ lost: 2 }, 1)).toContain('failures="1"');
    expect(xml({ lost: 2 }, 1)).toContain('name="no message is lost"><failure message="2 of 10"/>');
  });

  test("has one for each kind of fault that was made", () => {
    const book = new FaultBook();
    book.made(strike({ kind: "fin" }, 5));
    book.made(strike({ kind: "rst" }, 5));
    book.made({ ...strike({ kind: "rst" }), outcome: "none" });
    expect(xml({ book }, 1)).toContain('name="each fin is recovered from"/>');
    expect(xml({ book }, 1)).toContain(
      'name="each rst is recovered from"><failure message="1 of 2 without a recovery"/>',
    );
  });

  test("has the run's end", () => {
    expect(xml({}, 1)).toContain('name="the run comes to its end"><failure message="it ended early, with 1"/>');
    expect(xml({ errors: [HOSTILE] }, 1)).toContain(`message="${ESCAPED}"/>`);
  });
});
