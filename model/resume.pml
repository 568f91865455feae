/*
 * Resume and fence: docs/protocol.md, "Resume", "Adoption" and the table of generations. One session that is live at both
 * ends, and what happens to it over up to three connections at a time: HELLOs that come late, connections that only one
 * end believes in, cuts in the middle of everything. A session belongs to one server, so there is one.
 *
 * Shown: each message is handed out exactly once and in order, in both directions; what is acked was accepted; one
 * connection speaks for the session; nobody states what cannot be; after the faults all is delivered.
 *
 * Left out: opening (open.pml), standby (standby.pml), credit (credit.pml), ends (ending.pml), lost sessions (lost.pml).
 * Authentication is part of the way that a HELLO takes: everything is looked at as if it arrived when that is over.
 * A proof is right or wrong: a stranger who knows the session's id can only make wrong ones. The epoch and the instance
 * stay the same, so a generation is its counter.
 */
#ifndef FAULTS
#define FAULTS 3
#endif
#define ROOM 4
#define FIELDS byte, byte, byte
#define ANY _, _, _, _
mtype = { HELLO, FORGED, WELCOME, REFUSE, DATA, ACK };
#include "network.h"
#include "session.h"

#define UPWARD 2   /* messages that the client sends */
#define DOWNWARD 1 /* and the server */

End client, srv;
byte attempt = NONE; /* the client's connection that was not answered yet */
byte adopted = NONE; /* the client's connection that speaks for the session */
byte counter = 1;    /* of the client's last HELLO */
byte owner = 1;      /* of the HELLO whose connection last spoke for the session */
byte speakers;       /* the server's connections that speak for it, as bits */

#define speaks(c) ((speakers & (1 << c)) != 0)

/*
 * HELLO {counter, received, accepted}, WELCOME and ACK {received, accepted}, DATA {offset, message}. FORGED is a HELLO with
 * a wrong proof.
 */

inline onHello(c, generation, theirReceived, theirAccepted) {
  if
#ifndef GENERATION_NOT_CHECKED
  :: generation <= owner -> writeDown(c, REFUSE(0, 0, 0)); serverEnds(c); /* stale */
#endif
  :: else ->
#ifndef NOT_FENCED
    if
    :: speaks(0) -> serverCloses(0);
    :: speaks(1) -> serverCloses(1);
    :: speaks(2) -> serverCloses(2);
    :: else
    fi;
    speakers = 0;
#endif
    assert(speakers == 0); /* one owner */
    speakers = 1 << c;
    owner = generation;
    adopt(srv, theirReceived, theirAccepted, false);
    writeDown(c, WELCOME(srv.received, srv.accepted, 0));
  fi
}

proctype serverReads(byte c) {
  byte x, y, z;
end:
  do
  :: d_step {
      serverOpen[c] && len(up[c]) > 0 ->
      if
      :: up[c]?HELLO(x, y, z) -> onHello(c, x, y, z);
      :: up[c]?FORGED(x, y, z) ->
#ifdef PROOF_NOT_CHECKED
        onHello(c, x, y, z);
#else
        writeDown(c, REFUSE(0, 0, 0));
        serverEnds(c);
#endif
      :: up[c]?DATA(x, y, _) -> takeData(srv, x, y);
      :: up[c]?ACK(x, y, _) -> takeAck(srv, client, x, y);
      fi;
      x = 0; y = 0; z = 0;
    }
  :: d_step {
      serverNotices(c) ->
      serverCloses(c);
      speakers = speakers & ~(1 << c);
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
      :: down[c]?REFUSE(_, _, _) -> assert(false); /* it is the newest */
      :: down[c]?DATA(x, y, _) -> takeData(client, x, y);
      :: down[c]?ACK(x, y, _) -> takeAck(client, srv, x, y);
      fi;
      x = 0; y = 0;
    }
  :: d_step {
      clientNotices(c) ->
      clientCloses(c);
      if
      :: adopted == c -> adopted = NONE;
      :: else -> attempt = NONE;
      fi
    }
  :: d_step { adopted == c && client.sent < UPWARD && mayWriteUp(c) ->
      writeUp(c, DATA(client.sent, client.sent, 0));
      wrote(client);
    }
  :: d_step { adopted == c && client.owesAck && mayWriteUp(c) ->
      writeUp(c, ACK(client.received, stated(client), 0));
      client.owesAck = false;
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
      assert(counter <= 2 + FAULTS - faults); /* nothing but a mishap makes it dial again */
      writeUp(c, HELLO(counter, client.received, client.accepted));
      c = 0;
    }
  :: d_step { mishap && attempt != NONE -> clientCloses(attempt); attempt = NONE; faults--; } /* WELCOME takes too long */
  od
}

proctype stranger() {
  byte c;
end:
  d_step {
    mishap && firstFree != NONE ->
    c = firstFree;
    serverOpen[c] = true;
    writeUp(c, FORGED(100, 0, 0));
    faults--;
  }
}

proctype applications() {
end:
  do
  :: d_step { srv.accepted < srv.received -> srv.accepted++; srv.owesAck = true; }
  :: d_step { client.accepted < client.received -> client.accepted++; client.owesAck = true; }
  od
}

proctype judge() {
  timeout ->
  assert(client.acked == UPWARD && srv.acked == DOWNWARD);
  assert(adopted != NONE && speaks(adopted));
}

init {
  byte c;
  atomic {
    for (c : 0 .. CONNECTIONS - 1) {
      run clientReads(c);
      run serverReads(c);
    }
    c = 0;
    run dialler();
    run stranger();
    run applications();
    run network();
    run judge();
  }
}
