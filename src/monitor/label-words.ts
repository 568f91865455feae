/**
 * The values that labels may have. A reason may come from outside (an error's code, a custom resource): all that are
 * not listed here are one, "other". docs/metrics.md lists them, too.
 */
import type { Outcome } from "../core/session/link-events.ts";
import { LINK_TRANSITIONS } from "../core/states.ts";
import { isCondition, OVERLOAD_ACTIONS, type OverloadAction } from "../core/overload/actions.ts";
import { RESOURCES } from "../core/overload/rules.ts";
import { LIMIT_NAMES } from "../core/server/handshake-table.ts";
import type { FaultCode } from "../core/wire/faults.ts";
import { REFUSE_CODES } from "../core/wire/frames.ts";
import type { ErrorCode } from "../link/errors.ts";
import { NONE_UNDELIVERED } from "../link/undelivered.ts";
import { MUCH_UNREAD, MUCH_UNSENT } from "../plain-link/login.ts";
import type { ResourceStats } from "../telemetry/samples.ts";
import { PLAIN_LIMIT_NAMES } from "../server/plain-options.ts";
import type { RateScope } from "../server/rates.ts";
import { SUPERVISE_LIMIT_NAMES } from "../supervise/options.ts";
import { OTHER } from "../telemetry/tally.ts";

/** The keys of an object that the compiler has checked to be complete. */
function all<Word extends string>(words: Readonly<Record<Word, true>>): Word[] {
  return Object.keys(words) as Word[];
}

const FAULTS = all<FaultCode>({
  "bad-frame": true,
  oversized: true,
  gap: true,
  "beyond-credit": true,
  "impossible-position": true,
  "wrong-proof": true,
});

/** Why a plain link gives a connection up. */
const PLAIN_REASONS = [
  "framing-failed",
  "function-failed",
  "answer-unexpected",
  "answer-too-large",
  "reconnect-when",
  "probe-unanswered",
  "answer-late",
  "write-stalled",
  "bytes-before-tls",
  "idle",
  "aged",
];

const SYSTEM_CODES = ["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN"];

const OUTCOMES = all<Outcome>({
  closed: true,
  "session-lost": true,
  expired: true,
  "taken-over": true,
  "authentication-refused": true,
  mismatch: true,
  "protocol-error": true,
  "peer-aborted": true,
  "peer-handler-failed": true,
  "peer-close-timeout": true,
  aborted: true,
  "handler-failed": true,
  "close-timeout": true,
  "gave-up": true,
  "connection-lost": true,
});

/** The codes of errors with which an attempt can fail. */
const ATTEMPT_CODES: readonly ErrorCode[] = [
  "CONNECT_FAILED",
  "CONNECTION_LOST",
  "TIMED_OUT",
  "OVERLOADED",
  "AUTHENTICATION_UNAVAILABLE",
  "AUTHENTICATION_REFUSED",
  "LOGIN_REFUSED",
  "CERTIFICATE_INVALID",
  "PROTOCOL_MISMATCH",
  "PROTOCOL_ERROR",
];

const LOST = [
  "closed by the peer",
  "closed",
  "no evidence",
  "takeover interrupted",
  "silent, and unknown to whom answers",
  "silent",
  "asked to come back later",
  "shed",
  "credentials-expired",
  "reauthenticate",
  "session lost",
  ...SYSTEM_CODES,
  ...FAULTS,
  ...PLAIN_REASONS,
];

const REJECTED = [
  "handshake timed out",
  "gave way",
  "too many standbys",
  "replaced by a newer standby",
  "confirmed too late",
  "reset before it was confirmed",
  "reset",
  "tls",
  "denied",
  "proxy protocol",
  "authenticate() failed",
  "login refused",
  "login() failed",
  MUCH_UNREAD,
  MUCH_UNSENT,
  ...FAULTS,
  ...PLAIN_REASONS,
];

const ACTIONS = Object.keys(OVERLOAD_ACTIONS) as OverloadAction[];

/** By the metric's name. */
export const LABEL_WORDS: Readonly<Record<string, readonly string[]>> = {
  resplice_health: ["healthy", "degraded", "down"],
  resplice_links: Object.keys(LINK_TRANSITIONS),
  resplice_links_ended_total: [...OUTCOMES, OTHER],
  resplice_undelivered_messages_total: Object.keys(NONE_UNDELIVERED),
  resplice_unfinished_messages_total: ["maybe", "not-sent", "untracked"],
  resplice_connections_lost_total: [...LOST, OTHER],
  resplice_attempts_failed_total: [...ATTEMPT_CODES, OTHER],
  resplice_hooks_failed_total: ["reconnect.shouldRetry", "authenticate", "login", "onDrain", OTHER],
  resplice_log_lines_total: ["written", "suppressed", "failed"],
  resplice_sessions: ["connected", "waiting"],
  resplice_held_total: all<RateScope>({ link: true, identity: true, address: true }),
  resplice_refused_total: Object.keys(REFUSE_CODES),
  resplice_turned_away_total: [...new Set<string>([...LIMIT_NAMES, ...PLAIN_LIMIT_NAMES, ...SUPERVISE_LIMIT_NAMES])],
  resplice_rejected_total: [...REJECTED, OTHER],
  resplice_shed_total: [...Object.keys(RESOURCES), OTHER],
  resplice_resource_state: all<ResourceStats["state"]>({
    normal: true,
    overloaded: true,
    ineffective: true,
    "not-watched": true,
  }),
  resplice_overload_in_force: ACTIONS.filter(isCondition),
  resplice_overload_actions_total: ACTIONS,
};
