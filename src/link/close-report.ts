/** The report on all links that a manager or a supervisor has closed. */
import type { CloseReport, Link, LinkReport } from "./types.ts";

export function closeReport(reports: Iterable<readonly [Link, LinkReport]>): CloseReport {
  const report: CloseReport = { left: 0, undelivered: [] };
  for (const [link, { error, undelivered, untracked }] of reports) {
    if (error?.code === "CLOSE_TIMEOUT") report.left++;
    if (untracked !== undefined) {
      const { messages, bytes } = report.untracked ?? { messages: 0, bytes: 0 };
      report.untracked = { messages: messages + untracked.messages, bytes: bytes + untracked.bytes };
    }
    for (const message of undelivered) report.undelivered.push({ ...message, link });
  }
  return report;
}
