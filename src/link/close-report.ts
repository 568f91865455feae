/** The report on all links that a manager or a supervisor has closed. */
import type { CloseReport, Link, LinkReport } from "./types.ts";
import { sumOf } from "./undelivered.ts";

export function closeReport(reports: Iterable<readonly [Link, LinkReport]>): CloseReport {
  const report: CloseReport = { left: 0, undelivered: [] };
  for (const [link, { error, undelivered, untracked }] of reports) {
    if (error?.code === "CLOSE_TIMEOUT") report.left++;
    const sum = sumOf(report.untracked, untracked);
    if (sum !== undefined) report.untracked = sum;
    for (const message of undelivered) report.undelivered.push({ ...message, link });
  }
  return report;
}
