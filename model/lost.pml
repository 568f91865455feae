/*
 * Session-lost: docs/protocol.md, "Lost"; in src/core server/server.ts, and replacing-link-core.ts and carry.ts of
 * client. A client sends two messages. Each HELLO may reach either of two servers, and a server may restart without
 * memory, so a resume may find that nobody knows the session, takes the fallback that it names, and later finds that
 * unknown as well.
 *
 * Shown, with `whenSessionLost: "report"`: each message is accepted exactly once, or reported as `maybe` and accepted at
 * most once; what is carried over as never sent never was; none overtakes another one that is still to come; a session
 * lives on one server, and its application hears of it once; what late HELLOs and lost sessions have left behind is gone
 * in the end. With -D RESEND, `"resend"`: each is accepted at least once, and more often only if it was written in a
 * session that was lost.
 *
 * Left out: the server's messages, strangers and copies (open.pml), expiry at the client. A server keeps a session that its
 * client has left for as long as it likes, and one that its client may still come back to until it restarts.
 */
#ifndef FAULTS
#define FAULTS 3
#endif
#define ROOM 4
#define FIELDS byte, byte, byte
#define ANY _, _, _, _
mtype = { OPEN, RESUME, NEW, RESUMED, LOST, CONFIRM, STALE, DATA, ACK };
#include "network.h"
#include "session.h"

#define SERVERS 2
#define UPWARD 2
#define SESSIONS 5 /* each loss costs a mishap, and there is one more fallback */

/* HELLO: OPEN {counter}, RESUME {counter, session, incarnation}, which names the next session as its fallback. WELCOME:
 * NEW, RESUMED, LOST {incarnation, nonce, received}. CONFIRM {session, incarnation, nonce}. STALE: REFUSE. DATA {offset,
 * message}. ACK {accepted}. No HELLO is answered twice here: its counter, which is never used again, stands for the nonce,
 * and with the server for the incarnation. */

/* The client. Its session is one after the other; `base` is the number of the first message in the current one's log. */
End client;
byte session;
byte base;
byte attempt = NONE;
byte adopted = NONE;
byte counter;
byte known; /* the session's incarnation */
byte home;  /* and whose that is */
bool confirmed;
#ifdef OLD_SESSION_UNTIL_CONFIRMED
byte before; /* the incarnation of the session before */
#endif
byte reported; /* messages, as bits */

/* What a server has of a session. */
mtype = { UNKNOWN, PROVISIONAL, LIVE };
typedef Entry {
  mtype phase;
  byte incarnation;
  byte owner;
  byte speaker;
  byte received;
};
Entry table[SERVERS * SESSIONS];
byte waitsFor[CONNECTIONS];             /* the nonce of the WELCOME that was written on it, until CONFIRM */
byte speaksFor[CONNECTIONS] = SESSIONS; /* the session that it speaks for, or is to confirm */
byte told;                 /* sessions that an application was told of, as bits */
byte delivered[UPWARD];

#define at server[c]
#define has(s, id) table[(s) * SESSIONS + (id)]
#define bit(n) (1 << n)

#ifdef INCARNATION_IGNORED
#define isSame(one, other) true
#else
#define isSame(one, other) (one == other)
#endif

inline forget(s, id) {
  has(s, id).phase = UNKNOWN;
  has(s, id).incarnation = 0;
  has(s, id).owner = 0;
  has(s, id).received = 0;
}

inline refuse(c) {
  writeDown(c, STALE(0, 0, 0));
  serverEnds(c);
}

inline acknowledge(c, id) {
  writeDown(c, ACK(has(at, id).received, 0, 0));
}

/* A connection speaks for a session now, or has ceased to. */
inline speak(c, id) {
  has(at, id).speaker = c + 1;
  speaksFor[c] = id;
}

inline cease(c, id) {
  if
  :: id < SESSIONS && has(at, id).speaker == c + 1 -> has(at, id).speaker = 0;
  :: else
  fi;
  speaksFor[c] = SESSIONS;
  waitsFor[c] = 0;
}

inline goLive(c, id) {
  has(at, id).phase = LIVE;
  assert((told & bit(id)) == 0); /* one owner, one link */
  assert(id <= session); /* and no ghost: its client has read a WELCOME of it */
  told = told | bit(id);
  speak(c, id);
  acknowledge(c, id);
}

inline welcome(c, id, generation, answer) {
  has(at, id).owner = generation;
  waitsFor[c] = generation;
  speaksFor[c] = id;
  writeDown(c, answer(has(at, id).incarnation, generation, 0));
}

/* An open, or a fallback. */
inline onOpen(c, id, generation, answer) {
  if
  :: has(at, id).phase == UNKNOWN ->
    has(at, id).phase = PROVISIONAL;
    has(at, id).incarnation = SERVERS * generation + at;
    welcome(c, id, generation, answer);
#ifdef FALLBACK_IS_LIVE_AT_ONCE
    if
    :: id > 0 -> goLive(c, id);
    :: else
    fi
#endif
  :: has(at, id).phase == LIVE || (has(at, id).phase == PROVISIONAL && generation <= has(at, id).owner) -> refuse(c);
  :: else -> welcome(c, id, generation, answer);
  fi
}

inline onResume(c, generation, id, which) {
  if
  :: has(at, id).phase == UNKNOWN || !isSame(has(at, id).incarnation, which) -> onOpen(c, id + 1, generation, LOST);
  :: else ->
    if
    :: generation <= has(at, id).owner -> refuse(c);
    :: generation > has(at, id).owner && has(at, id).phase == PROVISIONAL -> welcome(c, id, generation, RESUMED);
    :: else ->
      old = has(at, id).speaker;
      if
      :: old > 0 -> old--; cease(old, id); serverCloses(old); /* fenced */
      :: else
      fi;
      old = 0;
      has(at, id).owner = generation;
      speak(c, id);
      writeDown(c, RESUMED(has(at, id).incarnation, 0, has(at, id).received));
      acknowledge(c, id);
    fi
  fi
}

inline onConfirm(c, id, which, answered) {
  if
  :: has(at, id).speaker == c + 1 /* repeated, since its client could not know that the first arrived */
  :: has(at, id).speaker != c + 1 && (has(at, id).phase != PROVISIONAL || waitsFor[c] != has(at, id).owner) ->
    cease(c, id);
    serverCloses(c); /* too late, or its client has dialled again meanwhile */
  :: else ->
    assert(answered == waitsFor[c] && isSame(which, has(at, id).incarnation));
    waitsFor[c] = 0;
    goLive(c, id);
  fi
}

inline deliver(message) {
  assert(message < UPWARD);
  assert(message == 0 || delivered[0] > 0 || (reported & bit(0)) != 0); /* in order */
#ifdef RESEND
  assert(delivered[message] == 0 || session > 0);
#else
  assert(delivered[message] == 0); /* once */
#endif
  delivered[message]++;
}

inline onData(c, id, offset, message) {
  possible(offset <= has(at, id).received);
  if
  :: offset < has(at, id).received
  :: else -> deliver(message); has(at, id).received++;
  fi;
  acknowledge(c, id);
}

proctype serverReads(byte c) {
  byte x, y, z, old;
end:
  do
  :: d_step {
      serverOpen[c] && len(up[c]) > 0 ->
      if
      :: up[c]?OPEN(x, _, _) -> onOpen(c, 0, x, NEW);
      :: up[c]?RESUME(x, y, z) -> onResume(c, x, y, z);
      :: up[c]?CONFIRM(x, y, z) -> onConfirm(c, x, y, z);
      :: up[c]?DATA(x, y, _) -> z = speaksFor[c]; onData(c, z, x, y);
      fi;
      x = 0; y = 0; z = 0;
    }
  :: d_step { serverNotices(c) -> x = speaksFor[c]; cease(c, x); serverCloses(c); x = 0; }
  od
}

#define isWaitedFor(nonce) (nonce == waitsFor[0] || nonce == waitsFor[1] || nonce == waitsFor[2])

/* Can its client still come back to it? */
#define isClients(s, id) (session == id && home == s && known == has(s, id).incarnation)

/* The handshake time is over, or the session has expired. */
#define isOver(s, id) \
  ((has(s, id).phase == PROVISIONAL && !isWaitedFor(has(s, id).owner)) || \
    (has(s, id).phase == LIVE && has(s, id).speaker == 0 && !isClients(s, id)))
#define isSlow(s, id) (mishap && has(s, id).phase == PROVISIONAL && isWaitedFor(has(s, id).owner))

inline crash(c, s) {
  if
  :: serverOpen[c] && server[c] == s -> speaksFor[c] = SESSIONS; waitsFor[c] = 0; serverCloses(c);
  :: else
  fi
}

proctype memory(byte s) {
  byte id;
end:
  do
  :: d_step { isOver(s, 0) -> forget(s, 0); }
  :: d_step { isOver(s, 1) -> forget(s, 1); }
  :: d_step { isOver(s, 2) -> forget(s, 2); }
  :: d_step { isOver(s, 3) -> forget(s, 3); }
  :: d_step { isOver(s, 4) -> forget(s, 4); }
  :: d_step { isSlow(s, session) -> forget(s, session); faults--; }
  :: d_step {
      mishap ->
      faults--;
      for (id : 0 .. SESSIONS - 1) {
        forget(s, id);
        has(s, id).speaker = 0;
      }
      id = 0;
      crash(0, s);
      crash(1, s);
      crash(2, s);
    }
  od
}

/* Messages that were accepted, or are reported: what follows is carried over into the next session. */
#if defined(RESEND) || defined(LOST_IS_REPLAYED_SILENTLY)
#define begun client.acked
#else
#define begun client.highest
#endif

inline replaceSession(i) {
  i = client.acked;
  do
  :: i < begun -> reported = reported | bit(base + i); i++;
  :: else -> break
  od;
  i = 0;
  base = base + begun;
  session++;
  confirmed = false;
#ifdef OLD_SESSION_UNTIL_CONFIRMED
  before = known;
#endif
  client.acked = 0;
  client.sent = 0;
  client.highest = 0;
}

inline adoptWelcomed(c, which, nonce, theirReceived) {
  attempt = NONE;
  adopted = c;
  known = which;
  home = at;
  adopt(client, theirReceived, theirReceived, false);
  if
  :: confirmed
  :: else -> writeUp(c, CONFIRM(session, which, nonce));
  fi
}

proctype clientReads(byte c) {
  byte x, y, z, i;
end:
  do
  :: d_step {
      clientOpen[c] && len(down[c]) > 0 ->
      if
      :: down[c]?NEW(x, y, z) -> adoptWelcomed(c, x, y, z);
      :: down[c]?RESUMED(x, y, z) -> assert(isSame(known, x)); adoptWelcomed(c, x, y, z);
      :: down[c]?LOST(x, y, z) -> replaceSession(i); adoptWelcomed(c, x, y, z);
      :: down[c]?ACK(x, _, _) -> takeAcceptance(client, x); confirmed = true;
      fi;
      x = 0; y = 0; z = 0;
    }
  :: d_step {
      clientNotices(c) ->
      if
      :: adopted == c -> adopted = NONE;
      :: else -> attempt = NONE;
      fi;
      clientCloses(c);
    }
  :: d_step {
      adopted == c && base + client.sent < UPWARD && mayWriteUp(c) ->
      writeUp(c, DATA(client.sent, base + client.sent, 0));
      wrote(client);
    }
  od
}

inline dial(c, s) {
  c = firstFree;
  connect(c, s);
  attempt = c;
  counter++;
  assert(counter <= 1 + FAULTS - faults); /* nothing but a mishap makes it dial again */
  if
  :: known == 0 -> writeUp(c, OPEN(counter, 0, 0));
#ifdef OLD_SESSION_UNTIL_CONFIRMED
  :: session > 0 && !confirmed -> writeUp(c, RESUME(counter, session - 1, before));
#endif
  :: else -> writeUp(c, RESUME(counter, session, known));
  fi;
  c = 0;
}

#define mayDial (adopted == NONE && attempt == NONE && firstFree != NONE)

proctype dialler() {
  byte c;
end:
  do
  :: d_step { mayDial -> dial(c, 0); }
  :: d_step { mayDial && counter > 0 -> dial(c, 1); } /* the servers are alike: whichever is first is 0 */
  :: d_step { mishap && attempt != NONE -> clientCloses(attempt); attempt = NONE; faults--; } /* WELCOME takes too long */
  od
}

#define isMine(s, id) (has(s, id).phase == UNKNOWN || (has(s, id).phase == LIVE && isClients(s, id)))

proctype judge() {
  byte id;
  timeout ->
  assert(adopted != NONE && speaksFor[adopted] == session && has(home, session).speaker == adopted + 1);
  assert(base + client.acked == UPWARD);
  for (id : 0 .. SESSIONS - 1) {
    assert(isMine(0, id) && isMine(1, id));
  }
  for (id : 0 .. UPWARD - 1) {
    assert(delivered[id] > 0 || (reported & bit(id)) != 0);
  }
}

init {
  byte c;
  atomic {
    for (c : 0 .. SESSIONS - 1) {
      has(0, c).phase = UNKNOWN;
      has(1, c).phase = UNKNOWN;
    }
    for (c : 0 .. CONNECTIONS - 1) {
      run clientReads(c);
      run serverReads(c);
    }
    c = 0;
    run memory(0);
    run memory(1);
    run dialler();
    run network();
    run judge();
  }
}
