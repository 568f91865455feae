/*
 * Ends: docs/protocol.md, "Endings"; in src/core session/session.ts, server/server.ts,
 * server/adoption.ts, and link-core.ts of session and client. One session that is live on one connection. The client sends a message, or with -D SERVER_SENDS the server
 * does. Each application ends its direction, at any moment, and may stop reading at any moment (a half-close and a
 * close()), or abort. Tombstones, resumes of tombstones, expiry.
 *
 * Shown: unless somebody aborts, or the session expires while its client is away, both applications hear `closed`,
 * whatever is cut; who hears `closed` and did not stop reading has accepted all that the other one sent; what is acked was
 * accepted by an application that was still reading; an outcome is told once and stays; nobody is left with a session or
 * a tombstone.
 *
 * Left out: ends that move (moved.pml), standby, handler-failed and close-timeout (an abort under another name), that a
 * tombstone of a reset waits for its echo for 5 s only.
 */
#ifndef FAULTS
#define FAULTS 2
#endif
#define ROOM 5
#define FIELDS byte, byte, byte, byte
#define ANY _, _, _, _, _
mtype = { HELLO, WELCOME, STALE, SESSION_LOST, DATA, END, ACK, RESET };
#include "network.h"
#include "session.h"

#ifdef SERVER_SENDS
#define UPWARD 0
#define DOWNWARD 1
#else
#define UPWARD 1
#define DOWNWARD 0
#endif

/* HELLO {received, accepted, flags, counter}, WELCOME and ACK {received, accepted, flags}. DATA and END {offset}. RESET
 * {accepted}. STALE and SESSION_LOST: REFUSE. */
#define STOP 1
#define SAYS_DONE 2

mtype = { LIVE, DONE, ABORTING, GONE };
mtype = { UNTOLD, CLOSED, ABORTED, PEER_ABORTED, LOST, EXPIRED };
typedef Life {
  byte out; /* so many messages, and behind them the end, which takes a position */
  byte in;
  mtype phase;
  mtype outcome;
  bool ended;     /* the application has ended its direction */
  bool stopped;   /* nothing more is accepted */
  bool leftEarly; /* since the application has stopped reading */
  bool peerStopped;
  bool peerDone;
  bool doneStated;
  byte taken; /* by the application */
};

End client, srv;
Life cl, sl;
byte attempt = NONE;
byte adopted = 0;
byte counter = 1;
byte owner = 1;
byte speaker = 0;
bool tells = true; /* a reset may be told with one more HELLO */
bool patient;      /* both applications read to the end */
bool undone;       /* somebody has aborted, or the session expired while its client was away */

#define flags(l) ((l.stopped -> STOP : 0) + (l.phase == DONE -> SAYS_DONE : 0))
#define outDone(e, l) (e.acked > l.out || l.peerStopped)
#define inDone(e, l) (l.stopped || e.accepted > l.in)
#define nothingToLose(e, l) (inDone(e, l) && e.acked >= l.out)

inline tell(l, what) {
  if
#ifndef OUTCOME_CHANGES
  :: l.outcome != UNTOLD
#endif
  :: else -> assert(l.outcome == UNTOLD); l.outcome = what;
  fi;
  l.stopped = true;
}

inline acceptEnd(e, l) {
  if
  :: !l.stopped && e.received > l.in && e.accepted == l.in -> e.accepted++; e.owesAck = true;
  :: else
  fi
}

#ifdef END_NOT_COUNTED
#define isThrough(e, l) (l.ended && (e.acked >= l.out || l.peerStopped) && inDone(e, l))
#else
#define isThrough(e, l) (outDone(e, l) && inDone(e, l))
#endif
#ifdef TOMBSTONE_AT_ONE_END
#define hasServed(l) l.doneStated
#else
#define hasServed(l) (l.doneStated && l.peerDone)
#endif

inline settle(e, l) {
  if
  :: l.phase == LIVE && isThrough(e, l) ->
    tell(l, CLOSED);
    l.phase = DONE;
    e.owesAck = true;
  :: else
  fi;
  if
  :: l.phase == DONE && hasServed(l) -> l.phase = GONE;
  :: else
  fi
}

inline takeFlags(l, theirs) {
  l.peerStopped = l.peerStopped || (theirs & STOP) != 0;
  l.peerDone = l.peerDone || (theirs & SAYS_DONE) != 0;
}

inline onData(e, l, offset) {
  possible(offset <= e.received);
  if
  :: offset == e.received -> e.received++;
  :: else
  fi;
#ifdef SWALLOWED_IS_ACCEPTED
  if
  :: l.stopped -> e.accepted = e.received;
  :: else
  fi;
#endif
  e.owesAck = true;
  acceptEnd(e, l);
}

inline onAck(e, l, their, theirReceived, theirAccepted, theirs) {
  possible(theirReceived <= e.highest);
  assert(theirAccepted <= their.taken || (theirAccepted > their.in && their.taken == their.in));
  takeAcceptance(e, theirAccepted);
  takeFlags(l, theirs);
}

/* Answers with an echo, and the connection is closed: by whoever calls. */
inline onReset(e, l, theirAccepted) {
  if
  :: l.phase == LIVE -> takeAcceptance(e, theirAccepted); tell(l, PEER_ABORTED);
#ifdef OUTCOME_CHANGES
  :: l.phase == DONE -> tell(l, PEER_ABORTED);
#endif
  :: else
  fi;
  l.phase = GONE;
}

/* The server. */

inline fence() {
  if
  :: speaker != NONE -> serverCloses(speaker);
  :: else
  fi
}

inline onHello(c, theirReceived, theirAccepted, theirs, generation) {
  if
  :: sl.phase == GONE -> writeDown(c, SESSION_LOST(0, 0, 0, 0)); serverEnds(c);
  :: sl.phase != GONE && generation <= owner -> writeDown(c, STALE(0, 0, 0, 0)); serverEnds(c);
  :: sl.phase == ABORTING && generation > owner -> writeDown(c, RESET(srv.accepted, 0, 0, 0)); serverEnds(c);
  :: else ->
    fence();
    speaker = c;
    owner = generation;
    adopt(srv, theirReceived, theirAccepted, false);
    takeFlags(sl, theirs);
    writeDown(c, WELCOME(srv.received, srv.accepted, flags(sl), 0));
    settle(srv, sl);
  fi
}

#define isKept(l) (l.phase == LIVE || l.phase == DONE)

proctype serverReads(byte c) {
  byte x, y, z, w;
end:
  do
  :: d_step {
      serverOpen[c] && len(up[c]) > 0 && !(speaker == c && sl.phase == GONE) ->
      if
      :: up[c]?HELLO(x, y, z, w) -> onHello(c, x, y, z, w);
      :: up[c]?DATA(x, _, _, _) ->
        if
        :: isKept(sl) -> onData(srv, sl, x); settle(srv, sl);
        :: else
        fi
      :: up[c]?END(x, _, _, _) ->
        if
        :: isKept(sl) -> onData(srv, sl, x); settle(srv, sl);
        :: else
        fi
      :: up[c]?ACK(x, y, z, _) ->
        if
        :: isKept(sl) -> onAck(srv, sl, cl, x, y, z); settle(srv, sl);
        :: else
        fi
      :: up[c]?RESET(x, _, _, _) ->
        if
        :: sl.phase == LIVE -> writeDown(c, RESET(srv.accepted, 0, 0, 0));
        :: else
        fi;
        onReset(srv, sl, x);
      fi;
      x = 0; y = 0; z = 0; w = 0;
    }
  :: d_step { speaker == c && sl.phase == GONE -> speaker = NONE; serverEnds(c); }
  :: d_step {
      serverNotices(c) ->
      if
      :: speaker == c -> speaker = NONE; srv.owesAck = false;
      :: else
      fi;
      serverCloses(c);
    }
  :: d_step {
      speaker == c && sl.phase == LIVE && !sl.peerStopped && srv.sent < sl.out && mayWriteDown(c) ->
      writeDown(c, DATA(srv.sent, 0, 0, 0));
      wrote(srv);
    }
  :: d_step {
      speaker == c && sl.phase == LIVE && !sl.peerStopped && sl.ended && srv.sent == sl.out && mayWriteDown(c) ->
      writeDown(c, END(srv.sent, 0, 0, 0));
      wrote(srv);
    }
  :: d_step {
      speaker == c && isKept(sl) && srv.owesAck && mayWriteDown(c) ->
      writeDown(c, ACK(srv.received, srv.accepted, flags(sl), 0));
      srv.owesAck = false;
      sl.doneStated = sl.doneStated || sl.phase == DONE;
      settle(srv, sl);
    }
  od
}

proctype serverWaits() {
end:
  do
  :: d_step {
      speaker == NONE && sl.phase != GONE && (cl.phase == GONE || mishap) -> /* expiry */
      if
      :: cl.phase != GONE -> faults--; undone = true;
      :: else
      fi;
      if
      :: sl.phase == LIVE && nothingToLose(srv, sl) -> tell(sl, CLOSED);
      :: sl.phase == LIVE && !nothingToLose(srv, sl) -> tell(sl, EXPIRED);
      :: else
      fi;
      sl.phase = GONE;
    }
  od
}

/* The client. */

inline leave(c) {
  clientCloses(c);
  if
  :: adopted == c -> adopted = NONE; client.owesAck = false;
  :: attempt == c -> attempt = NONE;
  :: else
  fi
}

inline onWelcome(c, theirReceived, theirAccepted, theirs) {
  if
  :: cl.phase == ABORTING -> /* meanwhile */
    writeUp(c, RESET(client.accepted, 0, 0, 0));
    cl.phase = GONE;
  :: else ->
    attempt = NONE;
    adopted = c;
    adopt(client, theirReceived, theirAccepted, false);
    takeFlags(cl, theirs);
    settle(client, cl);
  fi
}

inline onSessionLost() {
  if
  :: cl.phase == LIVE && nothingToLose(client, cl) -> tell(cl, CLOSED);
  :: cl.phase == LIVE && !nothingToLose(client, cl) -> tell(cl, LOST);
  :: else
  fi;
  cl.phase = GONE;
}

proctype clientReads(byte c) {
  byte x, y, z;
end:
  do
  :: d_step {
      clientOpen[c] && len(down[c]) > 0 && cl.phase != GONE ->
      if
      :: down[c]?WELCOME(x, y, z, _) -> onWelcome(c, x, y, z);
      :: down[c]?SESSION_LOST(_, _, _, _) -> onSessionLost();
      :: down[c]?DATA(x, _, _, _) ->
        if
        :: isKept(cl) -> onData(client, cl, x); settle(client, cl);
        :: else
        fi
      :: down[c]?END(x, _, _, _) ->
        if
        :: isKept(cl) -> onData(client, cl, x); settle(client, cl);
        :: else
        fi
      :: down[c]?ACK(x, y, z, _) ->
        if
        :: isKept(cl) -> onAck(client, cl, sl, x, y, z); settle(client, cl);
        :: else
        fi
      :: down[c]?RESET(x, _, _, _) ->
        if
        :: cl.phase == LIVE -> writeUp(c, RESET(client.accepted, 0, 0, 0));
        :: else
        fi;
        onReset(client, cl, x);
      fi;
      x = 0; y = 0; z = 0;
    }
  :: d_step { clientOpen[c] && cl.phase == GONE -> leave(c); }
  :: d_step {
      clientNotices(c) && cl.phase != GONE ->
      if
      :: cl.phase == ABORTING && attempt == c && !tells -> cl.phase = GONE;
      :: else
      fi;
      leave(c);
    }
  :: d_step {
      adopted == c && cl.phase == LIVE && !cl.peerStopped && client.sent < cl.out && mayWriteUp(c) ->
      writeUp(c, DATA(client.sent, 0, 0, 0));
      wrote(client);
    }
  :: d_step {
      adopted == c && cl.phase == LIVE && !cl.peerStopped && cl.ended && client.sent == cl.out && mayWriteUp(c) ->
      writeUp(c, END(client.sent, 0, 0, 0));
      wrote(client);
    }
  :: d_step {
      adopted == c && isKept(cl) && client.owesAck && mayWriteUp(c) ->
      writeUp(c, ACK(client.received, client.accepted, flags(cl), 0));
      client.owesAck = false;
      cl.doneStated = cl.doneStated || cl.phase == DONE;
      settle(client, cl);
    }
  od
}

inline dial(c) {
  c = firstFree;
  connect(c, 0);
  attempt = c;
  counter++;
  assert(counter <= 2 + FAULTS - faults); /* nothing but a mishap makes it dial again */
  writeUp(c, HELLO(client.received, client.accepted, flags(cl), counter));
}

#define mayDial (adopted == NONE && attempt == NONE && firstFree != NONE)

proctype dialler() {
  byte c;
end:
  do
  :: d_step { mayDial && isKept(cl) -> dial(c); c = 0; }
  :: d_step {
      mayDial && cl.phase == ABORTING && tells ->
      tells = false;
      dial(c);
      writeUp(c, RESET(client.accepted, 0, 0, 0));
      c = 0;
    }
  :: d_step { /* WELCOME takes too long */
      mishap && attempt != NONE ->
      faults--;
      if
      :: cl.phase == ABORTING && !tells -> cl.phase = GONE;
      :: else
      fi;
      leave(attempt);
    }
  od
}

/* What an application does, and the cores with it. */
inline accept(e, l) {
  l.taken++;
  e.accepted++;
  e.owesAck = true;
  acceptEnd(e, l);
  settle(e, l);
}

inline stopReading(e, l) {
  l.stopped = true;
  l.leftEarly = true;
  e.owesAck = true;
  settle(e, l);
}

#define mayAccept(e, l) (l.phase == LIVE && !l.stopped && l.taken < l.in && l.taken < e.received)
#define mayStop(e, l) (!patient && l.phase == LIVE && !l.stopped && e.accepted <= l.in)

proctype applications() {
end:
  do
  :: d_step { mayAccept(client, cl) -> accept(client, cl); }
  :: d_step { mayAccept(srv, sl) -> accept(srv, sl); }
  :: d_step { cl.phase == LIVE && !cl.ended -> cl.ended = true; settle(client, cl); }
  :: d_step { sl.phase == LIVE && !sl.ended -> sl.ended = true; settle(srv, sl); }
  :: d_step { mayStop(client, cl) -> stopReading(client, cl); }
  :: d_step { mayStop(srv, sl) -> stopReading(srv, sl); }
  :: d_step {
      mishap && cl.phase == LIVE ->
      faults--;
      undone = true;
      tell(cl, ABORTED);
      cl.phase = ABORTING;
      if
      :: adopted != NONE -> writeUp(adopted, RESET(client.accepted, 0, 0, 0));
      :: else /* an attempt that is under way is answered with RESET, or fails: then one more dial tells */
      fi
    }
  :: d_step {
      mishap && sl.phase == LIVE ->
      faults--;
      undone = true;
      tell(sl, ABORTED);
      sl.phase = ABORTING;
      if
      :: speaker != NONE -> writeDown(speaker, RESET(srv.accepted, 0, 0, 0));
      :: else
      fi
    }
  od
}

#define isDelivered(e, l) (e.acked >= l.out || l.peerStopped)
#define isReceived(l) (l.taken == l.in || l.leftEarly)

proctype judge() {
  timeout ->
  assert(cl.phase == GONE && sl.phase == GONE);
  assert(undone || (cl.outcome == CLOSED && sl.outcome == CLOSED));
  assert(cl.outcome != CLOSED || (isDelivered(client, cl) && isReceived(cl)));
  assert(sl.outcome != CLOSED || (isDelivered(srv, sl) && isReceived(sl)));
}

init {
  byte c;
  atomic {
    if
    :: patient = true;
    :: patient = false;
    fi;
    cl.out = UPWARD;
    sl.in = UPWARD;
    cl.in = DOWNWARD;
    sl.out = DOWNWARD;
    cl.phase = LIVE;
    sl.phase = LIVE;
    cl.outcome = UNTOLD;
    sl.outcome = UNTOLD;
    connect(0, 0);
    for (c : 0 .. CONNECTIONS - 1) {
      run clientReads(c);
      run serverReads(c);
    }
    c = 0;
    run serverWaits();
    run dialler();
    run applications();
    run network();
    run judge();
  }
}
