/*
 * Credit: docs/protocol.md, "Data, credit and acknowledgements" and "Adoption"; sender.ts, receiver.ts and window.ts of
 * src/core/log. A client sends three messages of two units each, a prefix and a payload, and then ends its direction.
 * Frames have one unit or two, wherever messages begin. The server's window has room for one message, and borrows more
 * from a budget that it shares with other sessions. Its application is handed whole messages, and accepts them when it
 * likes. Cuts, resumes, late HELLOs, as in resume.pml.
 *
 * Shown: nothing that arrives is beyond the credit given on its connection; what a server holds is never more than the
 * window it has paid for, nor the budget overdrawn; nobody waits for ever, with a window of one message and none to
 * borrow; a message is handed out once, though `received` goes back when a server forgets what it has not handed out.
 *
 * Left out: the other direction, the sender's own log and flight (both only ever hold it back for less than for ever).
 */
#ifndef FAULTS
#define FAULTS 3
#endif
#define ROOM 4
#define FIELDS byte, byte, byte
#define ANY _, _, _, _
mtype = { HELLO, WELCOME, STALE, DATA, END, ACK };
#include "network.h"

#define MESSAGE 2 /* units, prefix included */
#define END_AT 6  /* behind three messages */
#ifdef FLOOR_IS_A_PAYLOAD
#define FLOOR 1
#else
#define FLOOR MESSAGE
#endif
#define FIRST 4
#define MOST 6
#define BUDGET 4

/* HELLO {counter}, WELCOME and ACK {received, accepted, window}, DATA {offset, units, blocked}, END {offset}. */

/* The client's sender. */
byte attempt = NONE;
byte adopted = NONE;
byte counter;
byte acked;
byte sent;
byte highest;
byte limit;

/* The server's receiver. */
byte speaker = NONE;
byte owner;
byte received; /* accepted <= handed <= received <= grant, but for the end */
byte handed;
byte accepted;
byte grant;
byte size = FIRST; /* of the window, counted from `accepted` */
bool owesAck;
byte budget = BUDGET - (FIRST - FLOOR); /* what is left of it */
byte others;          /* what other sessions have of it */
byte seen;            /* messages that the application was handed */

#define min(a, b) (a < b -> a : b)
#define max(a, b) (a > b -> a : b)
#define possible(statement) assert(statement)

#define held (min(received, END_AT) - min(accepted, END_AT))

/* Gives back what holds nothing. */
inline shrink() {
  budget = budget + size - max(held, FLOOR);
  size = max(held, FLOOR);
}

inline grow() {
  if
  :: size < MOST && budget >= min(size, MOST - size) && held * 2 <= size ->
    budget = budget - min(size, MOST - size); /* doubles */
    size = size + min(size, MOST - size);
  :: else
  fi
}

/* What is stated is granted. */
inline state(c, frame) {
  grant = max(grant, accepted + size);
  writeDown(c, frame(received, accepted, size));
}

inline loseConnection() {
  speaker = NONE;
  owesAck = false;
  shrink();
  grant = max(received, accepted + FLOOR);
}

inline onHello(c, generation) {
  if
  :: generation <= owner -> writeDown(c, STALE(0, 0, 0)); serverEnds(c);
  :: else ->
    if
    :: speaker != NONE -> serverCloses(speaker);
    :: else
    fi;
    speaker = c;
    owner = generation;
    grant = max(min(received, END_AT), accepted + size);
    state(c, WELCOME);
    owesAck = true;
  fi
}

inline onData(offset, units, blocked) {
  possible(offset <= received);
  assert(offset + units <= grant || offset + units <= received); /* beyond credit */
  received = max(received, offset + units);
  assert(held <= size && size - FLOOR + budget + others == BUDGET);
  if
  :: blocked -> grow();
  :: else
  fi;
  owesAck = true;
}

inline acceptEnd() {
  if
  :: received > END_AT && accepted == END_AT -> accepted++;
  :: else
  fi;
  owesAck = true;
}

proctype serverReads(byte c) {
  byte x, y, z;
end:
  do
  :: d_step {
      serverOpen[c] && len(up[c]) > 0 ->
      if
      :: up[c]?HELLO(x, _, _) -> onHello(c, x);
      :: up[c]?DATA(x, y, z) -> onData(x, y, z);
      :: up[c]?END(x, _, _) -> possible(x <= received); received = END_AT + 1; acceptEnd();
      fi;
      x = 0; y = 0; z = 0;
    }
  :: d_step {
      serverNotices(c) ->
      serverCloses(c);
      if
      :: speaker == c -> loseConnection();
      :: else
      fi
    }
  :: d_step { speaker == c && owesAck && mayWriteDown(c) -> state(c, ACK); owesAck = false; }
  od
}

proctype application() {
end:
  do
  :: d_step {
      handed + MESSAGE <= min(received, END_AT) ->
      assert(handed == seen * MESSAGE); /* once */
      handed = handed + MESSAGE;
      seen++;
    }
  :: d_step { accepted < handed -> accepted = handed; acceptEnd(); }
  od
}

/* Other sessions have the budget, or leave it; and a server may forget what it has not handed out. */
proctype memory() {
end:
  do
  :: d_step { mishap && budget > 0 -> others = others + budget; budget = 0; faults--; }
  :: d_step { others > 0 -> budget = budget + others; others = 0; }
  :: d_step {
      mishap && speaker == NONE && received > handed && received <= END_AT ->
      faults--;
#ifdef FORGETS_WHAT_WAS_HANDED
      handed = accepted;
#endif
      received = handed;
      loseConnection();
    }
#ifdef SHRINKS_WHILE_CONNECTED
  :: d_step { speaker != NONE && size > max(held, FLOOR) -> shrink(); }
#endif
  od
}

inline takeAcceptance(theirAccepted) {
  possible(theirAccepted <= highest);
  acked = max(acked, theirAccepted);
  sent = max(sent, acked);
}

inline onWelcome(c, theirReceived, theirAccepted, window) {
  attempt = NONE;
  adopted = c;
  possible(theirReceived <= highest && theirReceived >= acked);
  sent = theirReceived;
#ifdef LIMIT_IS_THE_LARGEST
  limit = max(limit, theirAccepted + window);
#else
  limit = theirAccepted + window;
#endif
  takeAcceptance(theirAccepted);
}

inline onAck(theirReceived, theirAccepted, window) {
  possible(theirReceived <= highest);
  limit = max(limit, theirAccepted + window);
  takeAcceptance(theirAccepted);
}

#ifdef CREDIT_IGNORED
#define writableTo END_AT
#else
#define writableTo min(END_AT, limit)
#endif

inline writeData(c, units) {
  writeUp(c, DATA(sent, units, sent + units == limit && limit < END_AT));
  sent = sent + units;
  highest = max(highest, sent);
}

proctype clientReads(byte c) {
  byte x, y, z;
end:
  do
  :: d_step {
      clientOpen[c] && len(down[c]) > 0 ->
      if
      :: down[c]?WELCOME(x, y, z) -> onWelcome(c, x, y, z);
      :: down[c]?STALE(_, _, _) -> assert(false); /* it is the newest */
      :: down[c]?ACK(x, y, z) -> onAck(x, y, z);
      fi;
      x = 0; y = 0; z = 0;
    }
  :: d_step {
      clientNotices(c) ->
      clientCloses(c);
      if
      :: adopted == c -> adopted = NONE;
      :: else -> attempt = NONE;
      fi
    }
  :: d_step { adopted == c && sent + 1 <= writableTo && mayWriteUp(c) -> writeData(c, 1); }
  :: d_step { adopted == c && sent + 2 <= writableTo && mayWriteUp(c) -> writeData(c, 2); }
  :: d_step {
      adopted == c && sent == END_AT && mayWriteUp(c) -> /* the end needs no credit */
      writeUp(c, END(sent, 0, 0));
      sent++;
      highest = max(highest, sent);
    }
  od
}

proctype dialler() {
  byte c;
end:
  do
  :: d_step {
      adopted == NONE && attempt == NONE && firstFree != NONE ->
      c = firstFree;
      connect(c, 0);
      attempt = c;
      counter++;
      assert(counter <= 1 + FAULTS - faults); /* nothing but a mishap makes it dial again */
      writeUp(c, HELLO(counter, 0, 0));
      c = 0;
    }
  :: d_step { mishap && attempt != NONE -> clientCloses(attempt); attempt = NONE; faults--; } /* WELCOME takes too long */
  od
}

proctype judge() {
  timeout ->
  assert(acked == END_AT + 1 && accepted == END_AT + 1);
  assert(adopted != NONE && speaker == adopted);
}

init {
  byte c;
  atomic {
    for (c : 0 .. CONNECTIONS - 1) {
      run clientReads(c);
      run serverReads(c);
    }
    c = 0;
    run application();
    run memory();
    run dialler();
    run network();
    run judge();
  }
}
