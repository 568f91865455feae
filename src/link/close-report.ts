/** The report on all links that a manager or a supervisor has closed. */
import type { CloseReport, Link, LinkReport } from "./types.ts";
import { sumOf } from "./undelivered.ts";

export function closeReport(reports: Iterable<readonly [Link, LinkReport]>): CloseReport {
  const report: CloseReport = { left: 0, undelivered: [] };
  for (const [link, { error, undelivered, untracked, cutOff }] of reports) {
    if (error?.code === "CLOSE_TIMEOUT" && cutOff !== undefined) {
      report.left++;
      (report.cutOff ??= []).push({ link, reason: cutOff });
    }
    const sum = sumOf(report.untracked, untracked);
    if (sum !== undefined) report.untracked = sum;
    for (const message of undelivered) report.undelivered.push({ ...message, link });
  }
  return report;
}
