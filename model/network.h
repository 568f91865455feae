/*
 * Connections, for all models: three of them, each with a FIFO of frames in either direction and two ends, which are open
 * or not. A model's client and servers are event-driven, as the cores in src/core are: each step takes one input and
 * leaves nothing half done. Between any two steps anything else may happen.
 *
 * A frame takes as long as it likes to arrive: a path that stalls, in one direction or in both, is a step that is not
 * taken. When a connection is cut, or its other end was closed, an end may still read what was under way, or part of it,
 * and notices sooner or later; what it writes goes nowhere. A slot is used again when both ends have let go of it, so
 * "three" is how many there may be at a time: late HELLOs, connections that only the server believes in, and so on.
 *
 * Whatever goes wrong costs one of FAULTS, which a model defines; so do its other mishaps (`mishap`). They may end before
 * they are used up. Nothing is ever repeated but for a mishap, so each run comes to an end: `npm run model` has spin show
 * that no run goes round in a circle, and each model has a `judge` that looks at every state in which nothing can happen
 * any more. Together that is convergence, and that there is no deadlock.
 */
#define CONNECTIONS 3
#define NONE CONNECTIONS /* no connection */

chan up[CONNECTIONS] = [ROOM] of { mtype, FIELDS };   /* from the client */
chan down[CONNECTIONS] = [ROOM] of { mtype, FIELDS }; /* from the server */
byte server[CONNECTIONS];                             /* which server it leads to */
bool clientOpen[CONNECTIONS];
bool serverOpen[CONNECTIONS];
bool broken[CONNECTIONS];
byte faults = FAULTS;

/* A mishap that is still allowed. */
#define mishap (faults > 0)

#define isFree(c) (!clientOpen[c] && !serverOpen[c])
#define firstFree (isFree(0) -> 0 : (isFree(1) -> 1 : (isFree(2) -> 2 : NONE)))

#define clientNotices(c) (clientOpen[c] && (broken[c] || (!serverOpen[c] && len(down[c]) == 0)))
#define serverNotices(c) (serverOpen[c] && (broken[c] || !clientOpen[c]))

/* Room for DATA. Handshakes and endings are a handful of frames, and always fit. */
#define mayWriteUp(c) (len(up[c]) < ROOM - 1)
#define mayWriteDown(c) (len(down[c]) < ROOM - 1)

#define writeUp(c, frame)                        \
  if                                             \
  :: serverOpen[c] && !broken[c] -> up[c]!frame; \
  :: else                                        \
  fi

#define writeDown(c, frame)                        \
  if                                               \
  :: clientOpen[c] && !broken[c] -> down[c]!frame; \
  :: else                                          \
  fi

inline discard(frames) {
  do
  :: len(frames) > 0 -> frames?ANY
  :: else -> break
  od
}

inline connect(c, to) {
  server[c] = to;
  clientOpen[c] = true;
  serverOpen[c] = true;
}

inline letGo(c) {
  if
  :: isFree(c) -> broken[c] = false; server[c] = 0;
  :: else
  fi
}

/* What the client has written may still arrive. */
inline clientCloses(c) {
  clientOpen[c] = false;
  discard(down[c]);
  letGo(c);
}

/* What the server has written may still arrive. */
inline serverCloses(c) {
  broken[c] = true;
  serverOpen[c] = false;
  discard(up[c]);
  letGo(c);
}

/* What the server has written arrives, unless the connection is cut before. */
inline serverEnds(c) {
  serverOpen[c] = false;
  discard(up[c]);
  letGo(c);
}

#define mayBeCut(c) (mishap && !broken[c] && clientOpen[c] && (serverOpen[c] || len(down[c]) > 0))

proctype network() {
  byte c;
end:
  do
  :: d_step { mayBeCut(0) -> broken[0] = true; faults-- }
  :: d_step { mayBeCut(1) -> broken[1] = true; faults-- }
  :: d_step { mayBeCut(2) -> broken[2] = true; faults-- }
  :: d_step { mishap -> faults = 0 }
  od
}
