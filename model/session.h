/*
 * The two halves of a session at one end (docs/protocol.md, "Ideas" and "Data, credit and acknowledgements"; in
 * src/core log/sender.ts, log/receiver.ts and session/session.ts). A message takes one position, and carries its
 * number: what an application is handed must be the next one, each time.
 */
typedef End {
  byte acked; /* acked <= sent <= highest */
  byte sent;
  byte highest;
  byte received; /* accepted <= received */
  byte accepted;
  bool owesAck;
};

/* What cannot be is answered with RESET `protocol`. Two ends that keep the rules never state it. */
#define possible(statement) assert(statement)

#define max(a, b) (a > b -> a : b)

inline takeAcceptance(e, theirAccepted) {
  possible(theirAccepted <= e.highest);
  e.acked = max(e.acked, theirAccepted);
  e.sent = max(e.sent, e.acked);
}

/* "Adoption". `late`: ACKs on the connection before may have overtaken the statement. */
inline adopt(e, theirReceived, theirAccepted, late) {
  possible(theirReceived <= e.highest);
  possible(theirReceived >= e.acked || late);
#ifndef RESUME_POSITION_IGNORED
  e.sent = max(theirReceived, e.acked);
#endif
  takeAcceptance(e, theirAccepted);
  e.owesAck = true;
}

inline takeAck(e, their, theirReceived, theirAccepted) {
  possible(theirReceived <= e.highest);
  assert(theirAccepted <= their.accepted); /* nothing is forgotten that the other application has not accepted */
  takeAcceptance(e, theirAccepted);
}

inline takeData(e, offset, message) {
  possible(offset <= e.received); /* a gap */
  if
#ifdef DEDUPE_OFF_BY_ONE
  :: offset + 1 < e.received
#else
  :: offset < e.received /* was there already */
#endif
  :: else ->
    assert(message == e.received); /* exactly once, in order */
    e.received++;
  fi;
  e.owesAck = true;
}

/* For models whose applications accept at once. */
inline acceptAll(e) {
  e.accepted = e.received;
}

inline wrote(e) {
  e.sent++;
  e.highest = max(e.highest, e.sent);
}

#ifdef ACK_BEFORE_ACCEPT
#define stated(e) e.received
#else
#define stated(e) e.accepted
#endif
