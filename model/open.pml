/*
 * Open with CONFIRM: docs/protocol.md, "Open" and "Who a session is"; in src/core server/opening.ts,
 * server/session-table.ts and client/introduction.ts. One client opens one session and sends one message. Each attempt
 * to open may reach either of two servers, attempts overtake each other, answers are lost, the client may give up while
 * it waits, somebody plays back what the client has said, and somebody who knows the session's id, but not its secret,
 * opens it too.
 *
 * Shown: over both servers one application is told of one link, and only when its client has read the WELCOME; no ghost:
 * what a late, repeated or abandoned HELLO made is gone in the end, and nobody was told; the message is accepted once,
 * or the client knows that the session is lost, for a reason.
 *
 * Left out: what follows a lost session (lost.pml; here the link ends, as with `whenSessionLost: "end"`), positions but
 * for that one message, expiry of a session that is live, admission.
 */
#ifndef FAULTS
#define FAULTS 3
#endif
#define ROOM 4
#define FIELDS byte, byte, byte
#define ANY _, _, _, _
mtype = { OPEN, FORGED, RESUME, NEW, RESUMED, CONFIRM, STALE, AUTHENTICATION, SESSION_LOST, RESET, DATA, ACK };
#include "network.h"

#define SERVERS 2

/* OPEN {counter}, RESUME {counter, incarnation}: HELLO. FORGED is an OPEN with another secret.
 * NEW, RESUMED {incarnation, nonce, received}: WELCOME. CONFIRM {incarnation, nonce}: its MAC covers both.
 * STALE, AUTHENTICATION, SESSION_LOST: REFUSE. DATA: the message. ACK {accepted}. */

/* The client. */
bool wanted = true; /* false: aborted, or ended since the session is lost */
byte attempt = NONE;
byte adopted = NONE;
byte counter;
byte known;     /* the incarnation that WELCOME has stated; 0: none */
byte home;      /* and whose that is */
bool confirmed; /* the server has spoken after CONFIRM */
bool sent;      /* on the connection in use */
bool acked;
bool mayBeLost; /* a server has dropped, or was asked for, what it does not have */

/* What each server has of the session. */
mtype = { UNKNOWN, PROVISIONAL, LIVE };
mtype phase[SERVERS] = UNKNOWN;
byte incarnation[SERVERS];
byte owner[SERVERS];
byte newestNonce[SERVERS];
byte speaker[SERVERS] = NONE;
bool received[SERVERS];
byte waitsFor[CONNECTIONS]; /* the nonce of the WELCOME that was written on it, until CONFIRM */
byte nonces;
byte incarnations;
byte links;     /* that applications were told of */
byte delivered; /* how often the message was handed out */

/* What was overheard. */
byte heardCounter;
byte heardIncarnation;
byte heardNonce;

#define at server[c] /* whom a connection leads to */

#ifdef INCARNATION_IGNORED
#define isSame(one, other) true
#else
#define isSame(one, other) (one == other)
#endif

inline refuse(c, code) {
  writeDown(c, code(0, 0, 0));
  serverEnds(c);
}

inline forget(s) {
  mayBeLost = mayBeLost || (wanted && known == incarnation[s]);
  phase[s] = UNKNOWN;
  incarnation[s] = 0;
  owner[s] = 0;
  newestNonce[s] = 0;
  received[s] = false;
}

inline acknowledge(c) {
  writeDown(c, ACK(received[at], 0, 0));
}

inline goLive(c) {
  phase[at] = LIVE;
  speaker[at] = c;
  links++;
  assert(links == 1); /* one link */
#ifndef CONFIRM_LEFT_OUT
  assert(known == incarnation[at]); /* and no ghost: its client has read a WELCOME of it */
#endif
  acknowledge(c);
}

inline fenceWaiting(c) { /* the newest connection fences the one before it, which has not confirmed */
  for (old : 0 .. CONNECTIONS - 1) {
    if
    :: old != c && server[old] == at && newestNonce[at] != 0 && waitsFor[old] == newestNonce[at] ->
      waitsFor[old] = 0;
      serverCloses(old);
    :: else
    fi
  }
  old = 0;
}

inline welcome(c, answer, generation) {
  fenceWaiting(c);
  owner[at] = generation;
  nonces++;
  newestNonce[at] = nonces;
  waitsFor[c] = nonces;
  writeDown(c, answer(incarnation[at], nonces, received[at]));
}

inline onOpen(c, generation) {
  if
  :: phase[at] == UNKNOWN ->
    incarnations++;
    incarnation[at] = incarnations;
    phase[at] = PROVISIONAL;
    welcome(c, NEW, generation);
#ifdef CONFIRM_LEFT_OUT
    goLive(c);
#endif
  :: phase[at] != UNKNOWN && (phase[at] == LIVE || generation <= owner[at]) -> refuse(c, STALE);
  :: else -> welcome(c, NEW, generation);
  fi
}

inline onForged(c, generation) {
#ifdef SECRET_NOT_CHECKED
  onOpen(c, generation);
#else
  refuse(c, AUTHENTICATION);
#endif
}

inline onResume(c, generation, which) {
  if
  :: phase[at] == UNKNOWN || !isSame(incarnation[at], which) -> refuse(c, SESSION_LOST);
  :: phase[at] != UNKNOWN && isSame(incarnation[at], which) && generation <= owner[at] -> refuse(c, STALE);
  :: phase[at] == PROVISIONAL && isSame(incarnation[at], which) && generation > owner[at] -> welcome(c, RESUMED, generation);
  :: else ->
    old = speaker[at];
    if
    :: old != NONE -> serverCloses(old); /* fenced */
    :: else
    fi;
    old = 0;
    owner[at] = generation;
    speaker[at] = c;
    writeDown(c, RESUMED(incarnation[at], 0, received[at]));
    acknowledge(c);
  fi
}

inline onConfirm(c, which, nonce) {
  if
  :: speaker[at] == c /* repeated, since its client could not know that the first arrived */
#ifndef OLDER_NONCE_CONFIRMS
  :: speaker[at] != c && waitsFor[c] != newestNonce[at] -> serverCloses(c); /* its session was forgotten, and opened again */
#endif
  :: speaker[at] != c && phase[at] != PROVISIONAL -> serverCloses(c);
#ifndef CONFIRM_WITHOUT_NONCE
  :: speaker[at] != c && phase[at] == PROVISIONAL && waitsFor[c] == newestNonce[at] && nonce != waitsFor[c] ->
    forget(at);
    serverCloses(c);
#endif
  :: else -> goLive(c);
  fi;
  waitsFor[c] = 0;
}

inline onReset(c) {
  if
  :: phase[at] == PROVISIONAL -> forget(at);
  :: else
  fi;
  waitsFor[c] = 0;
  serverCloses(c);
}

inline onMessage(c) {
  assert(speaker[at] == c);
  if
  :: received[at]
  :: else -> received[at] = true; delivered++; assert(delivered == 1);
  fi;
  acknowledge(c);
}

proctype serverReads(byte c) {
  byte x, y, old;
end:
  do
  :: d_step {
      serverOpen[c] && len(up[c]) > 0 ->
      if
      :: up[c]?OPEN(x, _, _) -> onOpen(c, x);
      :: up[c]?FORGED(x, _, _) -> onForged(c, x);
      :: up[c]?RESUME(x, y, _) -> onResume(c, x, y);
      :: up[c]?CONFIRM(x, y, _) -> onConfirm(c, x, y);
      :: up[c]?RESET(_, _, _) -> onReset(c);
      :: up[c]?DATA(_, _, _) -> onMessage(c);
      fi;
      x = 0; y = 0;
    }
  :: d_step {
      serverNotices(c) ->
      if
      :: speaker[at] == c -> speaker[at] = NONE;
      :: else
      fi;
      waitsFor[c] = 0;
      serverCloses(c);
    }
  od
}

#define isWaitedFor(s) (newestNonce[s] == waitsFor[0] || newestNonce[s] == waitsFor[1] || newestNonce[s] == waitsFor[2])

/* The handshake time, from the last WELCOME or from the loss of its connection. */
proctype serverForgets(byte s) {
end:
  do
#ifndef PROVISIONAL_IS_KEPT
  :: d_step { phase[s] == PROVISIONAL && !isWaitedFor(s) -> forget(s); }
  :: d_step { mishap && phase[s] == PROVISIONAL && isWaitedFor(s) -> forget(s); faults--; }
#endif
  :: d_step { phase[s] == LIVE && speaker[s] == NONE && !wanted -> forget(s); } /* expiry */
  od
}

inline adopt(c, which, theirReceived) {
  attempt = NONE;
  adopted = c;
  known = which;
  home = at;
  mayBeLost = mayBeLost || incarnation[at] != which;
  assert(!theirReceived || links == 1);
  sent = theirReceived;
  acked = acked || theirReceived;
}

inline confirm(c, which, nonce) {
  heardIncarnation = which;
  heardNonce = nonce;
  writeUp(c, CONFIRM(which, nonce, 0));
}

inline onNew(c, which, nonce, theirReceived) {
  if
  :: wanted -> adopt(c, which, theirReceived); confirm(c, which, nonce);
  :: else -> writeUp(c, RESET(0, 0, 0)); clientCloses(c); attempt = NONE; /* aborted meanwhile */
  fi
}

inline onResumed(c, which, nonce, theirReceived) {
  assert(isSame(known, which));
  adopt(c, which, theirReceived);
  if
  :: confirmed
  :: else -> confirm(c, which, nonce);
  fi
}

proctype clientReads(byte c) {
  byte x, y, z;
end:
  do
  :: d_step {
      clientOpen[c] && len(down[c]) > 0 ->
      if
      :: down[c]?NEW(x, y, z) -> onNew(c, x, y, z);
      :: down[c]?RESUMED(x, y, z) -> onResumed(c, x, y, z);
      :: down[c]?SESSION_LOST(_, _, _) ->
        assert(mayBeLost);
        wanted = false;
        clientCloses(c);
        attempt = NONE;
      :: down[c]?STALE(_, _, _) -> clientCloses(c); attempt = NONE; /* a copy has overtaken it */
      :: down[c]?ACK(x, _, _) -> acked = acked || x; confirmed = true;
      fi;
      x = 0; y = 0; z = 0;
    }
  :: d_step {
      clientNotices(c) ->
      if
      :: adopted == c -> adopted = NONE; sent = false;
      :: else -> attempt = NONE;
      fi;
      clientCloses(c);
    }
  :: d_step { adopted == c && !sent && !acked -> sent = true; writeUp(c, DATA(0, 0, 0)); }
  od
}

inline dial(c, s) {
  c = firstFree;
  connect(c, s);
  attempt = c;
  counter++;
  assert(counter <= 1 + FAULTS - faults); /* nothing but a mishap makes it dial again */
  if
  :: known == 0 -> writeUp(c, OPEN(counter, 0, 0)); heardCounter = counter;
  :: else -> writeUp(c, RESUME(counter, known, 0));
  fi;
  c = 0;
}

#define mayDial (wanted && adopted == NONE && attempt == NONE && firstFree != NONE)

proctype dialler() {
  byte c;
end:
  do
  :: d_step { mayDial && (known == 0 || home == 0) -> dial(c, 0); }
  :: d_step { mayDial && (known == 0 || home == 1) -> dial(c, 1); }
  :: d_step { mishap && mayDial && known != 0 -> faults--; mayBeLost = true; dial(c, 1 - home); }
  :: d_step { mishap && attempt != NONE -> clientCloses(attempt); attempt = NONE; faults--; } /* WELCOME takes too long */
  :: d_step { mishap && wanted && known == 0 -> wanted = false; faults--; } /* abort() */
  od
}

/* They have connections of their own, and read nothing that is of use to them. */
inline pose(c, s) {
  c = firstFree;
  server[c] = s;
  serverOpen[c] = true;
  faults--;
}

inline replay(c, s) {
  pose(c, s);
  writeUp(c, OPEN(heardCounter, 0, 0));
  if
  :: heardNonce != 0 -> writeUp(c, CONFIRM(heardIncarnation, heardNonce, 0)); writeUp(c, DATA(0, 0, 0));
  :: else
  fi;
  c = 0;
}

proctype strangers() {
  byte c;
end:
  do
  :: d_step { mishap && firstFree != NONE && heardCounter != 0 -> replay(c, 0); }
  :: d_step { mishap && firstFree != NONE && heardCounter != 0 -> replay(c, 1); }
  :: d_step { mishap && firstFree != NONE && phase[0] != UNKNOWN -> pose(c, 0); writeUp(c, FORGED(100, 0, 0)); c = 0; }
  od
}

proctype judge() {
  timeout ->
  assert(phase[0] != PROVISIONAL && phase[1] != PROVISIONAL);
  if
  :: wanted -> assert(acked && delivered == 1 && adopted != NONE && speaker[home] == adopted);
  :: else -> assert(phase[0] == UNKNOWN && phase[1] == UNKNOWN);
  fi
}

init {
  byte c;
  atomic {
    for (c : 0 .. CONNECTIONS - 1) {
      run clientReads(c);
      run serverReads(c);
    }
    c = 0;
    run serverForgets(0);
    run serverForgets(1);
    run dialler();
    run strangers();
    run network();
    run judge();
  }
}
