/*
 * Moved: docs/protocol.md, "Going away"; in src/core replacing-link-core.ts and carry.ts of client, and link-core.ts
 * and server.ts of server. Server 0 has a session, and goes away at some moment: GOAWAY, END by the client, the
 * server's application answers what it was handed and ends too, tombstones, and a new session at server 1, which gets
 * what was not begun to be sent. Over cuts, and over a resume that reaches server 1 too early. One of the applications,
 * or none, ends by itself.
 *
 * Shown: each message is accepted exactly once and in order, over both sessions, and the answer arrives; nothing is in
 * doubt unless a session was lost in between; the link goes on only if both ends have moved, and never at the server that
 * goes away; in the end there is one session, or none, and no tombstone.
 *
 * Left out: the deadline (a session that is lost then is lost like any other: lost.pml), stop and abort (ending.pml), an
 * application that ends during the move, and what becomes of the second session (resume.pml, lost.pml). An application that
 * ends does so when all it has sent was begun to be written.
 */
#ifndef FAULTS
#define FAULTS 2
#endif
#define ROOM 5
#define FIELDS byte, byte, byte, byte
#define ANY _, _, _, _, _
mtype = { OPEN, RESUME, NEXT, NEW, RESUMED, LOST, CONFIRM, STALE, DRAINING, SESSION_LOST, DATA, END, ACK, GOAWAY };
#include "network.h"
#include "session.h"

#define UPWARD 2 /* messages that the client sends, the server sends one answer */

/* HELLO: OPEN {counter}, RESUME {counter, received, accepted, flags} of the first session, NEXT {counter, session} of a
 * later one. WELCOME: NEW, LOST {counter}, RESUMED {received, accepted, flags}. CONFIRM {session, counter}: as in
 * lost.pml, a HELLO's counter stands for the nonce. DATA {offset, message}. END {offset, kind}. ACK {received, accepted,
 * flags}. STALE, DRAINING, SESSION_LOST: REFUSE. */
#define SAYS_DONE 1
#define SAYS_GOAWAY 2
#define FALLBACK 4
#define says(flag, flags) ((flags & flag) != 0)

mtype = { NONE_YET, FINAL, MOVED };                      /* how a direction ends */
mtype = { UNKNOWN, PROVISIONAL, LIVE, DONE, GONE };      /* what has become of a session */
mtype = { NOBODY, CLIENT, SERVER };
mtype endsByItself;

/* The first session: the client's end, and server 0's. */
End client, srv;
mtype myEnd = NONE_YET, peerEnd = NONE_YET;  /* the client's direction, as each of the two knows it */
mtype srvEnd = NONE_YET, heardEnd = NONE_YET; /* the server's */
byte myEndAt = 100;
byte peerEndAt = 100;
byte answers; /* 1: the server's application has said all that it wants to */
byte heardEndAt = 100;
mtype phase = LIVE; /* at the client; GONE: the link has ended */
mtype srvPhase = LIVE;
bool draining;
bool peerDone, doneStated, srvPeerDone, srvDoneStated;
byte attempt = NONE;
byte adopted = 0;
byte counter = 1;
byte owner = 1;
byte speaker = 0;

/* The link goes on: session 1 is the fallback that was named, 2 a new one. Both can only be at server 1. */
byte session;
byte base; /* the number of the first message in its log */
bool known = true;
bool confirmed = true;
bool misrouted; /* a resume has reached the other server */
bool lost;      /* a session was lost before it was done */
bool answered;  /* the client's application has the answer */
byte reported; /* messages, as bits */
byte delivered[UPWARD];
mtype nextPhase[3] = UNKNOWN;
byte nextOwner[3];
byte nextReceived[3];
byte nextSpeaker = NONE;
byte waitsFor[CONNECTIONS];
byte speaksFor[CONNECTIONS];

#define at server[c]
#define bit(n) (1 << n)

inline deliver(message) {
  assert(message == 0 || delivered[0] > 0 || (reported & bit(0)) != 0); /* in order */
  assert(delivered[message] == 0); /* once */
  delivered[message]++;
}

inline refuse(c, code) {
  writeDown(c, code(0, 0, 0, 0));
  serverEnds(c);
}

/* Server 0. */

#define srvFlags ((srvPhase == DONE -> SAYS_DONE : 0) + (draining && GOAWAY_STAYS -> SAYS_GOAWAY : 0))
#ifdef GOAWAY_IS_AN_EVENT
#define GOAWAY_STAYS false
#else
#define GOAWAY_STAYS true
#endif

inline settleServer() {
  if
  :: srvPhase == LIVE && srvEnd != NONE_YET && srv.acked > answers && srv.accepted > peerEndAt ->
    srvPhase = DONE;
    srv.owesAck = true;
  :: else
  fi;
  if
  :: srvPhase == DONE && srvPeerDone && srvDoneStated -> srvPhase = GONE;
  :: else
  fi
}

inline acceptAtServer() {
  srv.accepted = srv.received; /* its end by itself */
  srv.owesAck = true;
  settleServer();
}

inline onResume(c, generation, theirReceived, theirAccepted, flags) {
  if
  :: at == 1 && !says(FALLBACK, flags) -> refuse(c, SESSION_LOST);
  :: at == 1 && says(FALLBACK, flags) -> openNext(c, 1, generation, LOST);
  :: at == 0 && srvPhase == GONE && says(FALLBACK, flags) -> refuse(c, DRAINING);
  :: at == 0 && srvPhase == GONE && !says(FALLBACK, flags) -> refuse(c, SESSION_LOST);
  :: at == 0 && srvPhase != GONE && generation <= owner -> refuse(c, STALE);
  :: else ->
    if
    :: speaker != NONE -> serverCloses(speaker);
    :: else
    fi;
    speaker = c;
    owner = generation;
    adopt(srv, theirReceived, theirAccepted, false);
    srvPeerDone = srvPeerDone || says(SAYS_DONE, flags);
    writeDown(c, RESUMED(srv.received, srv.accepted, srvFlags, 0));
    settleServer();
  fi
}

inline onFirstData(offset, message) {
  possible(offset <= srv.received);
  if
  :: offset < srv.received
  :: else -> deliver(message); srv.received++;
  fi;
  acceptAtServer();
}

inline onFirstEnd(offset, kind) {
  possible(offset <= srv.received && (peerEnd == NONE_YET || (peerEnd == kind && peerEndAt == offset)));
  peerEnd = kind;
  peerEndAt = offset;
  srv.received = max(srv.received, offset + 1);
  acceptAtServer();
}

inline onFirstAck(theirReceived, theirAccepted, flags) {
  possible(theirReceived <= srv.highest);
  takeAcceptance(srv, theirAccepted);
  srvPeerDone = srvPeerDone || says(SAYS_DONE, flags);
  settleServer();
}

/* Server 1. */

inline openNext(c, id, generation, answer) {
  if
  :: nextPhase[id] == LIVE || (nextPhase[id] == PROVISIONAL && generation <= nextOwner[id]) -> refuse(c, STALE);
  :: else ->
    nextPhase[id] = PROVISIONAL;
    nextOwner[id] = generation;
    waitsFor[c] = generation;
    speaksFor[c] = id;
    writeDown(c, answer(generation, 0, 0, 0)); /* RESUMED as well: nothing was received */
  fi
}

inline onNext(c, generation, id) {
  if
  :: at == 0 -> refuse(c, DRAINING);
  :: at == 1 && nextPhase[id] == PROVISIONAL && generation > nextOwner[id] -> openNext(c, id, generation, RESUMED);
  :: at == 1 && nextPhase[id] == LIVE && generation > nextOwner[id] ->
    if
    :: nextSpeaker != NONE -> serverCloses(nextSpeaker);
    :: else
    fi;
    nextOwner[id] = generation;
    nextSpeaker = c;
    speaksFor[c] = id;
    writeDown(c, RESUMED(nextReceived[id], nextReceived[id], 0, 0));
    writeDown(c, ACK(nextReceived[id], nextReceived[id], 0, 0));
  :: else -> refuse(c, STALE);
  fi
}

inline onConfirm(c, id, answered) {
  if
  :: nextSpeaker == c
  :: nextSpeaker != c && (nextPhase[id] != PROVISIONAL || waitsFor[c] != nextOwner[id]) -> waitsFor[c] = 0; serverCloses(c);
  :: else ->
    assert(answered == waitsFor[c] && nextSpeaker == NONE);
    nextPhase[id] = LIVE;
    nextSpeaker = c;
    waitsFor[c] = 0;
    writeDown(c, ACK(nextReceived[id], nextReceived[id], 0, 0));
  fi
}

inline onNextData(c, id, offset, message) {
  possible(offset <= nextReceived[id]);
  if
  :: offset < nextReceived[id]
  :: else -> deliver(message); nextReceived[id]++;
  fi;
  writeDown(c, ACK(nextReceived[id], nextReceived[id], 0, 0));
}

proctype serverReads(byte c) {
  byte x, y, z, w;
end:
  do
  :: d_step {
      serverOpen[c] && len(up[c]) > 0 && !(speaker == c && srvPhase == GONE) ->
      if
      :: up[c]?RESUME(x, y, z, w) -> onResume(c, x, y, z, w);
      :: up[c]?OPEN(x, _, _, _) ->
        if
        :: at == 0 -> refuse(c, DRAINING);
        :: else -> openNext(c, 2, x, NEW);
        fi
      :: up[c]?NEXT(x, y, _, _) -> onNext(c, x, y);
      :: up[c]?CONFIRM(x, y, _, _) -> onConfirm(c, x, y);
      :: up[c]?DATA(x, y, _, _) ->
        if
        :: at == 0 -> onFirstData(x, y);
        :: else -> z = speaksFor[c]; onNextData(c, z, x, y);
        fi
      :: up[c]?END(x, y, _, _) -> onFirstEnd(x, y);
      :: up[c]?ACK(x, y, z, _) -> onFirstAck(x, y, z);
      fi;
      x = 0; y = 0; z = 0; w = 0;
    }
  :: d_step { speaker == c && srvPhase == GONE -> speaker = NONE; serverEnds(c); }
  :: d_step {
      serverNotices(c) ->
      if
      :: speaker == c -> speaker = NONE; srv.owesAck = false;
      :: nextSpeaker == c -> nextSpeaker = NONE;
      :: else
      fi;
      waitsFor[c] = 0;
      speaksFor[c] = 0;
      serverCloses(c);
    }
  :: d_step {
      speaker == c && srvPhase == LIVE && srv.sent < answers && mayWriteDown(c) ->
      writeDown(c, DATA(srv.sent, srv.sent, 0, 0));
      wrote(srv);
    }
  :: d_step {
      speaker == c && srvPhase == LIVE && srvEnd != NONE_YET && srv.sent == answers && mayWriteDown(c) ->
      writeDown(c, END(srv.sent, srvEnd, 0, 0));
      wrote(srv);
    }
  :: d_step {
      speaker == c && srvPhase != GONE && srv.owesAck && mayWriteDown(c) ->
      writeDown(c, ACK(srv.received, srv.accepted, (srvPhase == DONE -> SAYS_DONE : 0), 0));
      srv.owesAck = false;
      srvDoneStated = srvDoneStated || srvPhase == DONE;
      settleServer();
    }
  od
}

#define inputEnded (peerEnd != NONE_YET && srv.accepted > peerEndAt)
#define isAwaited (waitsFor[0] == nextOwner[1] || waitsFor[1] == nextOwner[1] || waitsFor[2] == nextOwner[1])

proctype servers() {
end:
  do
  :: d_step {
      !draining ->
      draining = true;
      if
      :: srvPhase == LIVE && speaker != NONE -> writeDown(speaker, GOAWAY(0, 0, 0, 0));
      :: else
      fi;
#ifdef BOTH_END_AT_GOAWAY
      srvEnd = (srvEnd == NONE_YET -> MOVED : srvEnd);
#endif
    }
  :: d_step { /* it answers, and ends */
      srvPhase == LIVE && srvEnd == NONE_YET && inputEnded ->
      answers = 1;
      srvEnd = peerEnd;
    }
  :: d_step { endsByItself == SERVER && srvPhase == LIVE && srvEnd == NONE_YET && !inputEnded -> srvEnd = FINAL; }
  :: d_step { /* a fallback that nobody will confirm: its client is elsewhere */
      nextPhase[1] == PROVISIONAL && !isAwaited && (session == 2 || phase == GONE) ->
      nextPhase[1] = UNKNOWN;
      nextOwner[1] = 0;
    }
  :: d_step { /* expiry */
      srvPhase != GONE && speaker == NONE && (session > 0 || phase == GONE) ->
      assert(srvPhase == DONE || misrouted);
      srvPhase = GONE;
    }
  od
}

/* The client. */

#ifdef END_HAS_NO_KIND
#define bothMoved (myEnd != NONE_YET && heardEnd != NONE_YET)
#else
#define bothMoved (myEnd == MOVED && heardEnd == MOVED)
#endif
#define inDone (client.accepted > heardEndAt)
#define nothingToLose (inDone && client.acked >= myEndAt)
#define offersFallback (phase != GONE && (bothMoved || (phase == LIVE && myEnd != FINAL && heardEnd == NONE_YET)))
#define clientFlags ((phase == DONE -> SAYS_DONE : 0) + (offersFallback -> FALLBACK : 0))
#define writableTo (myEnd == NONE_YET -> UPWARD - base : myEndAt)

inline endWith(kind) {
  myEnd = kind;
  myEndAt = client.highest;
}

inline leave() {
  if
  :: phase == LIVE && session == 0 && myEnd == NONE_YET -> endWith(MOVED);
  :: else
  fi
}

/* What is not begun goes on; what is begun and not accepted is reported, and there is none after a move. */
inline replaceSession(id, i) {
  i = client.acked;
  do
  :: i < client.highest && i < myEndAt -> reported = reported | bit(base + i); i++;
  :: else -> break
  od;
  lost = lost || !(myEnd == MOVED && nothingToLose);
  base = base + (i < myEndAt -> i : myEndAt);
  i = 0;
  session = id;
  myEnd = NONE_YET;
  heardEnd = NONE_YET;
  myEndAt = 100;
  heardEndAt = 100;
  client.acked = 0;
  client.sent = 0;
  client.highest = 0;
  client.received = 0;
  client.accepted = 0;
  client.owesAck = false;
  peerDone = false;
  doneStated = false;
  phase = LIVE;
  confirmed = false;
}

inline goOn(i) {
  assert(myEnd == MOVED && heardEnd == MOVED);
  if
  :: adopted != NONE -> clientCloses(adopted);
  :: else
  fi;
  adopted = NONE;
  known = false;
  replaceSession(2, i);
}

inline settleClient(i) {
  if
  :: phase == LIVE && myEnd != NONE_YET && client.acked > myEndAt && inDone -> phase = DONE; client.owesAck = true;
  :: else
  fi;
  if
  :: phase == DONE && peerDone && doneStated && bothMoved -> goOn(i);
  :: phase == DONE && peerDone && doneStated && !bothMoved -> phase = GONE;
#ifdef MOVES_WITHOUT_WAITING
  :: myEnd == MOVED && client.sent > myEndAt -> heardEnd = MOVED; goOn(i);
#endif
  :: else
  fi
}

inline drop(c) {
  clientCloses(c);
  if
  :: adopted == c -> adopted = NONE; client.owesAck = false;
  :: attempt == c -> attempt = NONE;
  :: else
  fi
}

inline onWelcome(c, nonce) {
  attempt = NONE;
  adopted = c;
  known = true;
  writeUp(c, CONFIRM(session, nonce, 0, 0));
}

inline onResumed(c, theirReceived, theirAccepted, flags, i) {
  attempt = NONE;
  adopted = c;
  if
  :: session > 0 && !confirmed -> writeUp(c, CONFIRM(session, theirReceived, 0, 0)); adopt(client, 0, 0, false);
  :: else -> adopt(client, theirReceived, theirAccepted, false);
  fi;
  peerDone = peerDone || says(SAYS_DONE, flags);
  if
  :: says(SAYS_GOAWAY, flags) -> leave();
  :: else
  fi;
  settleClient(i);
}

inline onEnd(offset, kind, i) {
  possible(offset <= client.received && (heardEnd == NONE_YET || (heardEnd == kind && heardEndAt == offset)));
  heardEnd = kind;
  heardEndAt = offset;
  client.received = max(client.received, offset + 1);
  client.accepted = client.received;
  client.owesAck = true;
  settleClient(i);
}

inline onAck(theirAccepted, flags, i) {
  takeAcceptance(client, theirAccepted);
  confirmed = true;
  peerDone = peerDone || says(SAYS_DONE, flags);
  settleClient(i);
}

inline onSessionLost(c) {
  lost = lost || (phase == LIVE && !nothingToLose);
  phase = GONE;
}

proctype clientReads(byte c) {
  byte x, y, z, i;
end:
  do
  :: d_step {
      clientOpen[c] && len(down[c]) > 0 && phase != GONE ->
      if
      :: down[c]?NEW(x, _, _, _) -> onWelcome(c, x);
      :: down[c]?LOST(x, _, _, _) -> replaceSession(1, i); onWelcome(c, x);
      :: down[c]?RESUMED(x, y, z, _) -> onResumed(c, x, y, z, i);
      :: down[c]?STALE(_, _, _, _) -> assert(false);
      :: down[c]?DRAINING(_, _, _, _) -> drop(c);
      :: down[c]?SESSION_LOST(_, _, _, _) -> onSessionLost(c);
      :: down[c]?DATA(x, y, _, _) -> takeData(client, x, y); acceptAll(client); answered = true;
      :: down[c]?END(x, y, _, _) -> onEnd(x, y, i);
      :: down[c]?ACK(_, y, z, _) -> onAck(y, z, i);
      :: down[c]?GOAWAY(_, _, _, _) -> leave();
      fi;
      x = 0; y = 0; z = 0;
    }
  :: d_step { clientOpen[c] && phase == GONE -> drop(c); }
  :: d_step { clientNotices(c) && phase != GONE -> drop(c); }
  :: d_step {
      adopted == c && phase == LIVE && client.sent < writableTo && mayWriteUp(c) ->
      writeUp(c, DATA(client.sent, base + client.sent, 0, 0));
      wrote(client);
    }
  :: d_step {
      adopted == c && phase == LIVE && myEnd != NONE_YET && client.sent == myEndAt && mayWriteUp(c) ->
      writeUp(c, END(client.sent, myEnd, 0, 0));
      wrote(client);
      settleClient(i);
    }
  :: d_step {
      adopted == c && phase != GONE && session == 0 && client.owesAck && mayWriteUp(c) ->
      writeUp(c, ACK(client.received, client.accepted, clientFlags, 0));
      client.owesAck = false;
      doneStated = doneStated || phase == DONE;
      settleClient(i);
    }
  od
}

inline dial(c, s) {
  c = firstFree;
  connect(c, s);
  attempt = c;
  counter++;
  assert(counter <= 3 + FAULTS - faults); /* nothing but a mishap, and the move, makes it dial again */
  if
  :: session == 0 -> writeUp(c, RESUME(counter, client.received, client.accepted, clientFlags));
  :: session > 0 && known -> writeUp(c, NEXT(counter, session, 0, 0));
  :: else -> writeUp(c, OPEN(counter, 0, 0, 0));
  fi;
  c = 0;
}

#define mayDial (phase != GONE && adopted == NONE && attempt == NONE && firstFree != NONE)
#define isAtFirst (session == 0 && srvPhase != GONE)

proctype theClient() {
  byte c;
end:
  do
  :: d_step { mayDial && isAtFirst -> dial(c, 0); }
  :: d_step { mayDial && !isAtFirst -> dial(c, 1); }
  :: d_step { mishap && mayDial && isAtFirst -> faults--; misrouted = true; dial(c, 1); }
  :: d_step { mishap && mayDial && !isAtFirst -> faults--; dial(c, 0); }
  :: d_step { mishap && attempt != NONE -> faults--; drop(attempt); } /* WELCOME takes too long */
  :: d_step {
      endsByItself == CLIENT && session == 0 && phase == LIVE && myEnd == NONE_YET && client.highest == UPWARD ->
      endWith(FINAL);
    }
  od
}

#define isAccounted(message) (delivered[message] > 0 || (lost && (reported & bit(message)) != 0))

proctype judge() {
  timeout ->
  assert(srvPhase == GONE && (lost || reported == 0));
  if
  :: phase == GONE ->
    assert(endsByItself != NOBODY && nextPhase[1] == UNKNOWN && nextPhase[2] == UNKNOWN);
    assert(lost || endsByItself == SERVER || (isAccounted(0) && isAccounted(1)));
  :: else ->
    assert(isAccounted(0) && isAccounted(1));
    assert(lost || answered);
    assert(adopted != NONE && adopted == nextSpeaker && speaksFor[adopted] == session);
    assert(nextPhase[session] == LIVE && nextPhase[3 - session] == UNKNOWN);
  fi
}

init {
  byte c;
  atomic {
    if
    :: endsByItself = NOBODY;
    :: endsByItself = CLIENT;
    :: endsByItself = SERVER;
    fi;
    connect(0, 0);
    for (c : 0 .. CONNECTIONS - 1) {
      run clientReads(c);
      run serverReads(c);
    }
    c = 0;
    run servers();
    run theClient();
    run network();
    run judge();
  }
}
