/*
 * Standby and its commit: docs/protocol.md, "Standby"; in src/core server/adoption.ts, and standby.ts and link-core.ts of
 * client. A session that is live on one connection, a client that suspects that connection, rightly or not, and a
 * second server, which does not know the session and which a standby may reach instead. With the resume that follows
 * when a takeover is interrupted.
 *
 * Shown: each message is handed out exactly once and in order, while the old connection and the standby carry the same
 * positions; at each server one connection speaks for the session; a COMMIT that comes late takes nothing back; no wrong
 * suspicion and no wrong server costs the session; nobody states what cannot be; after the faults all is delivered.
 *
 * Left out: when to suspect, and the pauses between standbys; that a client gives up asking after three refusals (if the
 * connection is dead it will notice here); a session that is not live or not confirmed, for which nobody stands by.
 */
#ifndef FAULTS
#define FAULTS 3
#endif
#define ROOM 3
#define FIELDS byte, byte, byte
#define ANY _, _, _, _
mtype = { HELLO, WELCOME, REFUSE, STANDBY, READY, COMMIT, COMMITTED, LOST, DATA, ACK };
#include "network.h"
#include "session.h"

#define UPWARD 2   /* messages that the client sends */
#define DOWNWARD 1 /* and the server */
#define KNOWS(c) (server[c] == 0)

End client, srv;
byte attempt = NONE;
byte adopted = 0;
byte standby = NONE;
bool suspect;     /* `adopted` does not answer */
bool due;         /* a standby is to be dialled */
bool committing;  /* COMMIT was written */
byte counter = 1; /* of the client's last HELLO or STANDBY */
byte owner = 1;   /* of the connection that last spoke for the session */
byte speakers = 1;
byte standsBy[CONNECTIONS]; /* the counter of the STANDBY that was answered READY */

#define speaks(c) ((speakers & (1 << c)) != 0)

/*
 * HELLO {counter, received, accepted}, STANDBY {counter}, DATA {offset, message}; WELCOME, COMMIT, COMMITTED and ACK
 * {received, accepted}.
 */

/* The newest connection fences the older. */
inline fence() {
  if
  :: speaks(0) -> serverCloses(0);
  :: speaks(1) -> serverCloses(1);
  :: speaks(2) -> serverCloses(2);
  :: else
  fi;
  speakers = 0;
}

inline refuse(c) {
  writeDown(c, REFUSE(0, 0, 0));
  serverEnds(c);
}

inline onHello(c, generation, theirReceived, theirAccepted) {
  if
  :: generation <= owner -> refuse(c); /* stale */
  :: else ->
    fence();
    speakers = 1 << c;
    owner = generation;
    adopt(srv, theirReceived, theirAccepted, false);
    writeDown(c, WELCOME(srv.received, stated(srv), 0));
  fi
}

inline onStandby(c, generation) {
  if
#ifdef STANDBY_HEARS_LOST
  :: !KNOWS(c) -> writeDown(c, LOST(0, 0, 0)); serverEnds(c);
#endif
  :: !KNOWS(c) || generation <= owner -> refuse(c); /* no-standby, stale */
  :: else -> standsBy[c] = generation; writeDown(c, READY(0, 0, 0));
  fi
}

inline onCommit(c, theirReceived, theirAccepted) {
  if
#ifndef COMMIT_NOT_COMPARED
  :: standsBy[c] <= owner -> refuse(c); /* stale by now */
#endif
  :: else ->
#ifndef PROMOTED_BESIDE_THE_OLD
    fence();
#endif
    assert(speakers == 0); /* one owner */
    speakers = 1 << c;
    owner = standsBy[c];
#ifdef COMMIT_IS_NEVER_LATE
    adopt(srv, theirReceived, theirAccepted, false);
#else
    adopt(srv, theirReceived, theirAccepted, true);
#endif
    writeDown(c, COMMITTED(srv.received, stated(srv), 0));
  fi;
  standsBy[c] = 0;
}

proctype serverReads(byte c) {
  byte x, y, z;
end:
  do
  :: d_step {
      serverOpen[c] && len(up[c]) > 0 ->
      if
      :: up[c]?HELLO(x, y, z) -> onHello(c, x, y, z);
      :: up[c]?STANDBY(x, _, _) -> onStandby(c, x);
      :: up[c]?COMMIT(x, y, _) -> onCommit(c, x, y);
      :: up[c]?DATA(x, y, _) -> takeData(srv, x, y); acceptAll(srv);
      :: up[c]?ACK(x, y, _) -> takeAck(srv, client, x, y);
      fi;
      x = 0; y = 0; z = 0;
    }
  :: d_step {
      serverNotices(c) ->
      serverCloses(c);
      speakers = speakers & ~(1 << c);
      standsBy[c] = 0;
    }
  :: d_step { speaks(c) && srv.sent < DOWNWARD && mayWriteDown(c) ->
      writeDown(c, DATA(srv.sent, srv.sent, 0));
      wrote(srv);
    }
  :: d_step { speaks(c) && srv.owesAck && mayWriteDown(c) ->
      writeDown(c, ACK(srv.received, stated(srv), 0));
      srv.owesAck = false;
    }
  od
}

inline closeOurs(c) {
  if
  :: c != NONE -> clientCloses(c);
  :: else
  fi
}

inline dropAdopted() {
  closeOurs(adopted);
  adopted = NONE;
  suspect = false;
  due = false;
}

/* COMMIT cannot be taken back: only a resume can tell who speaks for the session. */
inline standbyFailed() {
  closeOurs(standby);
  standby = NONE;
  if
  :: committing -> committing = false; dropAdopted();
  :: else -> due = suspect;
  fi
}

inline onReady(c) {
  committing = true;
  writeUp(c, COMMIT(client.received, stated(client), 0));
}

inline onCommitted(c, theirReceived, theirAccepted) {
  dropAdopted();
  standby = NONE;
  committing = false;
  adopted = c;
  adopt(client, theirReceived, theirAccepted, false);
}

proctype clientReads(byte c) {
  byte x, y;
end:
  do
  :: d_step {
      clientOpen[c] && len(down[c]) > 0 ->
      if
      :: down[c]?WELCOME(x, y, _) ->
        adopted = c;
        attempt = NONE;
        adopt(client, x, y, false);
      :: down[c]?REFUSE(_, _, _) ->
        if
        :: standby == c -> standbyFailed();
        :: else -> clientCloses(c); attempt = NONE;
        fi
      :: down[c]?LOST(_, _, _) -> dropAdopted(); standbyFailed(); counter = 0; /* for good */
      :: down[c]?READY(_, _, _) -> onReady(c);
      :: down[c]?COMMITTED(x, y, _) -> onCommitted(c, x, y);
      :: down[c]?DATA(x, y, _) -> takeData(client, x, y); acceptAll(client);
      :: down[c]?ACK(x, y, _) -> takeAck(client, srv, x, y);
      fi;
      x = 0; y = 0;
    }
  :: d_step {
      clientNotices(c) ->
      if
      :: adopted == c -> dropAdopted();
      :: standby == c -> standbyFailed();
      :: else -> clientCloses(c); attempt = NONE;
      fi
    }
  :: d_step { adopted == c && !committing && client.sent < UPWARD && mayWriteUp(c) ->
      writeUp(c, DATA(client.sent, client.sent, 0));
      wrote(client);
    }
  :: d_step { adopted == c && client.owesAck && mayWriteUp(c) ->
      writeUp(c, ACK(client.received, stated(client), 0));
      client.owesAck = false;
    }
  od
}

inline dial(c, to) {
  c = firstFree;
  connect(c, to);
  counter++;
  assert(counter <= 2 + 2 * (FAULTS - faults)); /* nothing but a mishap makes it dial again */
}

proctype dialler() {
  byte c;
end:
  do
  :: d_step {
      adopted == NONE && attempt == NONE && standby == NONE && counter > 0 && firstFree != NONE ->
      dial(c, 0);
      attempt = c;
      writeUp(c, HELLO(counter, client.received, stated(client)));
      c = 0;
    }
  :: d_step {
      due && adopted != NONE && standby == NONE && firstFree != NONE ->
      dial(c, 0);
      standby = c;
      due = false;
      writeUp(c, STANDBY(counter, 0, 0));
      c = 0;
    }
  :: d_step {
      mishap && due && adopted != NONE && standby == NONE && firstFree != NONE ->
      dial(c, 1);
      standby = c;
      due = false;
      writeUp(c, STANDBY(counter, 0, 0));
      faults--;
      c = 0;
    }
  :: d_step { mishap && attempt != NONE -> clientCloses(attempt); attempt = NONE; faults--; }
  :: d_step { mishap && standby != NONE -> standbyFailed(); faults--; } /* READY or COMMITTED takes too long */
  :: d_step { mishap && adopted != NONE && !suspect -> suspect = true; due = true; faults--; }
  :: d_step { /* it answers after all */
      suspect ->
      suspect = false;
      due = false;
      if
      :: standby != NONE && !committing -> closeOurs(standby); standby = NONE;
      :: else
      fi
    }
  od
}

proctype judge() {
  timeout ->
  assert(client.acked == UPWARD && srv.acked == DOWNWARD);
  assert(adopted != NONE && speaks(adopted) && standby == NONE);
}

init {
  byte c;
  atomic {
    connect(0, 0);
    for (c : 0 .. CONNECTIONS - 1) {
      run clientReads(c);
      run serverReads(c);
    }
    c = 0;
    run dialler();
    run network();
    run judge();
  }
}
