#!/usr/bin/env python3
"""A client of the session protocol, written from docs/protocol.md and docs/protocol-vectors.json alone.

It checks its codec against every vector. Then it opens one session with an echo server, sends messages and takes them
back, over one connection for each cut that it is told to make and a last one, and prints a report as JSON. Whatever the
server says and the page does not allow ends it with a traceback. Python 3.9 or later, nothing but its library.
"""
import argparse
import hashlib
import hmac
import itertools
import json
import os
import select
import socket
import struct
from typing import NamedTuple

# ---- Frames ----------------------------------------------------------------------------------------------------------

STATUS_FLAGS = {"stop": 1, "done": 2, "goaway": 4, "resume": 16, "fallback": 32}
DATA_FLAGS = {"end": 1, "moved": 2, "ack-now": 4, "blocked": 8}
STATED = "received Q accepted Q window I"
HELLO = (
    "magic 4s version B mode B zero H session_id 16s incarnation 16s process_epoch Q counter Q instance 16s " + STATED +
    " largest_message I secret 32s fallback_id 16s fallback_secret 32s credentials_length H open_payload_length H"
)
WELCOME = "result B zero 3s incarnation 16s nonce 16s " + STATED + " largest_message I resume_for I"
KINDS = {  # name: type, flags, longest body, the fields of the body in front of the rest
    "HELLO": (1, "stop done resume fallback", 20_660, HELLO),
    "WELCOME": (2, "stop done goaway", 64, WELCOME),
    "REFUSE": (3, "", 8, "code I retry_after I"),
    "CONFIRM": (4, "", 32, "MAC 32s"),
    "DATA": (5, "end moved ack-now blocked", 65_544, "offset Q"),
    "ACK": (6, "stop done", 20, STATED),
    "PING": (7, "", 8, "token Q"),
    "PONG": (8, "", 8, "token Q"),
    "STANDBY": (9, "stop done resume", 20_660, HELLO),
    "READY": (10, "", 0, ""),
    "COMMIT": (11, "stop done", 20, STATED),
    "COMMITTED": (12, "stop done goaway", 20, STATED),
    "GOAWAY": (13, "", 4, "deadline I"),
    "RESET": (14, "", 76, "code I accepted Q"),
    "REASON": (129, "", 256, ""),
}
TYPES = {kind[0]: name for name, kind in KINDS.items()}
POSITIONS = ("received", "accepted", "offset", "token", "process_epoch", "counter")
SESSION_LOST = 4
EXTENSION = bytes([200, 255, 0, 0, 0, 0, 0, 3]) + b"any"


class Frame(NamedTuple):
    name: str
    flags: frozenset
    fields: dict
    rest: bytes


class ProtocolError(Exception):
    pass


def check(condition, what):
    if not condition:
        raise ProtocolError(what)


def layout(name):
    """The names of a body's fields, and their format characters."""
    words = KINDS[name][3].split()
    return words[::2], words[1::2]


def encode(name, flags=(), rest=b"", **fields):
    bits = sum((DATA_FLAGS if name == "DATA" else STATUS_FLAGS)[flag] for flag in flags)
    names, codes = layout(name)
    body = struct.pack(">" + "".join(codes), *(fields[field] for field in names)) + rest
    return struct.pack(">BBHI", KINDS[name][0], bits, 0, len(body)) + body


def decode(inbound):
    """Takes the first frame from a bytearray; None while it is incomplete. The header is judged before the body is there."""
    if len(inbound) < 8:
        return None
    number, bits, zero, length = struct.unpack_from(">BBHI", inbound)
    check(zero == 0, "a header whose zeros are not zero")
    check(number in TYPES or number >= 128, f"unknown type {number}")
    name = TYPES.get(number, "EXTENSION")
    names, codes, flags, fixed, most = [], [], frozenset(), 0, 65_536
    if number in TYPES:
        most, (names, codes) = KINDS[name][2], layout(name)
        values = DATA_FLAGS if name == "DATA" else STATUS_FLAGS
        flags = frozenset(flag for flag in KINDS[name][1].split() if bits & values[flag])
        check(bits == sum(values[flag] for flag in flags), f"{name} has flags {bits:#x}")
        fixed = struct.calcsize(">" + "".join(codes))
    check(fixed <= length <= most, f"{name} has {length} bytes")
    if len(inbound) < 8 + length:
        return None
    fields = dict(zip(names, struct.unpack_from(">" + "".join(codes), inbound, 8)))
    rest = bytes(inbound[8 + fixed : 8 + length])
    del inbound[: 8 + length]
    check(all(fields.get(field, 0) < 2**53 for field in POSITIONS), f"{name} has a number that is too high: {fields}")
    check(name == "RESET" or fields.get("accepted", 0) <= fields.get("received", 0), f"{name} accepts what did not arrive")
    check(name != "DATA" or rest or flags & {"end", "moved"}, "DATA with neither bytes nor an end")
    check(not flags >= {"end", "moved"}, "DATA with both ends")
    return Frame(name, flags, fields, rest)


def decode_piece(inbound):
    """What has come of a DATA frame that is not whole: its bytes count as they arrive. The rest stays, as a frame of its own."""
    if len(inbound) <= 16 or TYPES.get(inbound[0]) != "DATA":
        return None
    number, bits, zero, length, offset = struct.unpack_from(">BBHIQ", inbound)
    piece = bytes(inbound[16:])
    inbound[:] = struct.pack(">BBHIQ", number, bits, zero, length - len(piece), offset + len(piece))
    return Frame("DATA", frozenset(), {"offset": offset}, piece)


def with_proof(hello, secret):
    """A HELLO or STANDBY that resumes, with the proof in its place."""
    proof = hmac.digest(secret, b"resplice hello 1\0" + hello[:104] + bytes(32) + hello[136:], "sha256")
    return hello[:104] + proof + hello[136:]


def confirm(secret, session_id, incarnation, nonce):
    covered = b"resplice confirm 1\0" + session_id + incarnation + nonce
    return encode("CONFIRM", MAC=hmac.digest(secret, covered, "sha256"))


def check_vectors(path):
    """Every vector, decoded to its fields and encoded from them again, HMACs computed. Answers how many there are."""
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    key = {name: bytes.fromhex(text) for name, text in document["inputs"].items() if name not in ("credentials", "openPayload")}
    for vector in document["vectors"]:
        name, whole = vector["name"], bytes.fromhex(vector["hex"])
        check(all(decode(bytearray(whole[:end])) is None for end in range(len(whole))), f"{name}: decoded a part of it")
        inbound = bytearray(whole + b"next")
        frame = decode(inbound)
        check(inbound == b"next", f"{name}: took too much or too little")
        parts = [bytes.fromhex(field["hex"]) for field in vector["fields"]]
        check(b"".join(parts) == whole, f"{name}: its fields are not all of it")
        if frame.name == "EXTENSION":
            check(frame.rest == b"".join(parts[4:]), f"{name}: the body is not what is skipped")
            continue
        names, codes = layout(frame.name)
        for field, code, part in zip(names, codes, parts[4:]):
            check((frame.fields[field],) == struct.unpack(">" + code, part), f"{name}: {field} is not {part.hex()}")
        check(frame.rest == b"".join(parts[4 + len(names) :]), f"{name}: the rest is not {parts[4 + len(names) :]}")
        check(encode(frame.name, frame.flags, frame.rest, **frame.fields) == whole, f"{name}: is encoded differently")
        if "resume" in frame.flags:
            check(with_proof(whole, key["secret"]) == whole, f"{name}: another proof")
        if frame.name == "CONFIRM":
            of = ("fallbackSecret", "fallbackId", "fallbackIncarnation") if "lost" in name else ("secret", "sessionId", "incarnation")
            check(confirm(*(key[part] for part in of), key["nonce"]) == whole, f"{name}: another MAC")
    return len(document["vectors"])


# ---- Connections -----------------------------------------------------------------------------------------------------


class Gone(Exception):
    """The connection: cut by us as planned, or lost."""


class Wire:
    """One connection, cut as `cut` says: "half:DATA+end:9" writes half of the first DATA with `end` that begins behind
    9 bytes, "wrote:..." cuts behind that frame, "read:..." behind one that was read, "inside:..." in one that arrives."""

    def __init__(self, port, cut):
        self.where, what, after = cut.split(":")
        self.what, self.after = set(what.split("+")), int(after)
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setblocking(False)
        self.out = []  # (name and flags, bytes), the oldest first
        self.inbound = bytearray()
        self.read = self.written = 0

    def put(self, name, flags=(), rest=b"", **fields):
        self.out.append(({name, *flags}, encode(name, flags, rest, **fields)))

    def turn(self):
        """Waits until something can be written or read, does it, and yields the frames that have come."""
        readable, writable, _ = select.select([self.socket], [self.socket] if self.out else [], [], 30)
        check(readable or writable, "30 s of silence")
        if writable:
            self.write()
        if readable:
            chunk = self.socket.recv(997 if self.where == "inside" else 65_536)
            if not chunk:
                raise Gone("closed by the server")
            self.inbound += chunk
            self.read += len(chunk)
        while (frame := decode(self.inbound)) is not None:
            yield frame
            self.cut_at("read", {frame.name, *frame.flags}, self.read)
        if (piece := decode_piece(self.inbound)) is not None:
            yield piece
        if self.inbound:
            self.cut_at("inside", {TYPES.get(self.inbound[0])}, self.read)

    def write(self):
        names, data = self.out[0]
        if self.where == "half" and self.what <= names and self.written >= self.after:
            self.socket.send(data[: len(data) // 2])
            raise Gone("half")
        count = self.socket.send(data)
        self.out[0] = (names, data[count:])
        if count == len(data):
            del self.out[0]
            self.cut_at("wrote", names, self.written)
        self.written += count

    def cut_at(self, where, names, position):
        if where == self.where and self.what <= names and position >= self.after:
            raise Gone(where)

    def close(self, reset):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


# ---- The session -----------------------------------------------------------------------------------------------------


class Session:
    """What outlives a connection, and what is done on one."""

    def __init__(self, options, log):
        self.options = options
        self.id, self.secret, self.instance = os.urandom(16), os.urandom(32), os.urandom(16)
        self.incarnation, self.counter = None, 0
        self.reason = None  # for the REFUSE that follows
        self.heard = False  # the server has spoken: it has our CONFIRM
        # Our direction. Its end takes the position behind the last byte.
        self.log, self.end = log, len(log)
        self.acked = self.sent = self.highest = self.limit = 0
        self.frame_sizes = itertools.cycle((1, 3, 5_000, 65_536))
        # The server's.
        self.inbound, self.ended, self.accepted = bytearray(), False, 0
        self.messages = []
        self.peer_stop = self.peer_done = self.done = self.gone = False
        self.report = dict.fromkeys(("connections", "duplicates", "resent", "pings", "pongs"), 0)
        self.report.update(cuts=[], lost=[], welcomes=[], stated=[], forgotten=False)

    def run(self):
        cuts = self.options.cut
        for cut in itertools.chain(cuts, itertools.repeat("never::0")):
            wire = Wire(self.options.port, cut)
            self.report["connections"] += 1
            reset = self.report["connections"] % 2 == 0
            try:
                self.speak(wire)
                self.gone, reset = True, False
            except (Gone, ConnectionError) as why:
                if str(why) == wire.where:
                    self.report["cuts"].append(cut)
                elif self.done and self.peer_done:
                    self.gone = True  # The server has both too, and came to it first.
                else:
                    self.report["lost"].append(str(why))
            wire.close(reset)
            if self.gone:
                break
        check(self.report["cuts"] == cuts, f"only these cuts were made: {self.report['cuts']}")

    def speak(self, wire):
        self.adopted = self.owed = False
        self.hello(wire)
        wire.put("PING", token=self.counter)
        wire.out.append((set(), EXTENSION))
        while not (self.gone or self.done and self.peer_done and self.said_done and not wire.out):
            for frame in wire.turn():
                self.take(wire, frame)
            if self.owed:
                wire.put("ACK", ["done"] if self.done else [], **self.state())
                self.owed, self.said_done = False, self.done
            if self.adopted:
                self.write_data(wire)

    @property
    def received(self):
        return len(self.inbound) + self.ended

    def state(self):
        """Our positions, for a frame that states them: with that the credit is given on this connection."""
        self.grant = self.accepted + self.options.window
        return dict(received=self.received, accepted=self.accepted, window=self.options.window)

    def hello(self, wire):
        resume = self.incarnation is not None
        self.counter += 1
        self.said_done = self.done
        flags = [*(["resume"] if resume else []), *(["done"] if self.done else [])]
        fields = dict(magic=b"RSPL", version=1, mode=int(self.options.mode == "bytes"), zero=0, **self.state())
        if self.report["connections"] % 2 == 1:
            fields["received"] = self.accepted  # what is not accepted may be forgotten: it comes again, and is dropped
        self.report["stated"].append(fields["received"])
        fields.update(session_id=self.id, incarnation=self.incarnation or bytes(16), secret=self.secret)
        fields.update(process_epoch=1, counter=self.counter, instance=self.instance)
        fields.update(largest_message=self.options.largest, fallback_id=bytes(16), fallback_secret=bytes(32))
        hello = encode("HELLO", flags, b"let me intenant 7", credentials_length=9, open_payload_length=8, **fields)
        wire.out.append(({"HELLO", *flags}, with_proof(hello, self.secret) if resume else hello))

    def take(self, wire, frame):
        fields = frame.fields
        if frame.name == "PING":
            wire.put("PONG", token=fields["token"])
            self.report["pings"] += 1
        elif frame.name == "PONG":
            check(fields["token"] == self.counter, "a PONG to no PING")
            self.report["pongs"] += 1
        elif frame.name == "WELCOME" and not self.adopted:
            self.adopt(wire, frame)
        elif frame.name == "REASON" and not self.adopted:
            self.reason = frame.rest.decode()
        elif frame.name == "REFUSE" and not self.adopted:
            check(fields["code"] == SESSION_LOST and self.done, f"refused: {fields}, {self.reason}")
            self.gone = self.report["forgotten"] = True  # the server has forgotten the tombstone: no loss
        elif frame.name == "ACK" and self.adopted:
            fallen = fields["accepted"] + fields["window"] < self.limit
            check(not fallen or "done" in frame.flags, "the credit has fallen on one connection")
            check(self.theirs <= fields["received"], "what was received has fallen on one connection")
            self.heard = True
            self.take_state(frame)
        elif frame.name == "DATA" and self.adopted:
            self.heard = self.owed = True
            self.take_data(fields["offset"], frame.rest, bool(frame.flags & {"end", "moved"}))
        elif frame.name not in ("EXTENSION", "GOAWAY"):
            raise ProtocolError(f"the end of the link, or not legal now: {frame}")
        if self.ended and self.accepted == self.received and (self.acked == self.end + 1 or self.peer_stop):
            self.owed = self.owed or not self.done
            self.done = True

    def adopt(self, wire, welcome):
        fields = welcome.fields
        check(fields["result"] == (0 if self.incarnation is None else 1), f"WELCOME {fields['result']}")
        check(self.incarnation in (None, fields["incarnation"]), "another incarnation")
        check(0 < fields["largest_message"] <= self.options.largest, "a largest message that we do not take")
        self.incarnation = fields["incarnation"]
        self.take_state(welcome)
        self.report["resent"] += max(0, min(self.sent, self.end) - fields["received"])
        self.report["welcomes"].append(fields["result"])
        self.report["largest"], self.report["resumeForMs"] = fields["largest_message"], fields["resume_for"]
        self.sent = fields["received"]
        self.adopted = self.owed = True
        if not self.heard:
            mac = confirm(self.secret, self.id, self.incarnation, fields["nonce"])
            wire.out.append(({"CONFIRM"}, mac))

    def take_state(self, frame):
        received, accepted = frame.fields["received"], frame.fields["accepted"]
        check(received <= self.highest, f"received {received} of {self.highest}")
        self.theirs = received
        check(self.acked <= accepted, f"accepted {accepted} after {self.acked}")
        self.acked, self.limit = accepted, accepted + frame.fields["window"]
        self.peer_stop = self.peer_stop or "stop" in frame.flags
        self.peer_done = self.peer_done or "done" in frame.flags

    def take_data(self, offset, data, ends):
        arrived, following = len(self.inbound), offset + len(data)
        check(offset <= self.received, f"a gap: {offset} after {self.received}")
        check(not self.ended or following <= arrived, f"DATA up to {following} behind the end at {arrived}")
        check(not ends or following >= arrived, f"an end at {following}, and {arrived} bytes were there")
        check(following <= max(self.received, self.grant), f"DATA up to {following} is beyond the credit {self.grant}")
        self.report["duplicates"] += min(following, arrived) - offset
        self.inbound += data[arrived - offset :]
        self.ended = self.ended or ends
        arrived = len(self.inbound)
        while self.options.mode == "messages" and arrived - self.accepted >= 4:
            to = self.accepted + 4 + int.from_bytes(self.inbound[self.accepted : self.accepted + 4], "big")
            check(to - self.accepted - 4 <= self.report["largest"], "a message above the agreed size")
            if to > arrived or to == arrived and not self.ended:
                break  # a message is accepted when something behind it has come: there is always one to lose
            self.messages.append(bytes(self.inbound[self.accepted + 4 : to]))
            self.accepted = to
        if self.options.mode == "bytes":
            self.accepted = max(self.accepted, arrived if self.ended else arrived - 1)
        if self.ended and self.accepted == arrived:
            self.accepted += 1

    def write_data(self, wire):
        """DATA from the cursor on, as far as the credit goes. The end needs none, but waits for the PINGs that we want."""
        while len(wire.out) < 4 and self.sent <= self.end and not self.peer_stop:
            to = max(self.sent, min(self.sent + next(self.frame_sizes), self.limit, self.end))
            ends = to == self.end and self.report["pings"] >= self.options.pings
            if to == self.sent and not ends:
                return
            flags = ["end"] if ends else ["blocked"] if to == self.limit else []
            wire.put("DATA", flags + (["ack-now"] if to == self.end else []), self.log[self.sent : to], offset=self.sent)
            self.sent = to + ends
            self.highest = max(self.highest, self.sent)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("port", type=int)
    arguments.add_argument("--vectors", required=True)
    arguments.add_argument("--mode", choices=("messages", "bytes"), default="messages")
    arguments.add_argument("--sizes", type=int, nargs="*", default=[], help="of the messages, in bytes")
    arguments.add_argument("--cut", nargs="*", default=[], help="see Wire")
    arguments.add_argument("--pings", type=int, default=0, help="end only when so many PINGs were answered")
    arguments.add_argument("--largest", type=int, default=100_000, help="message that we take")
    options = arguments.parse_args()
    options.window = 2 * (4 + options.largest)
    vectors = check_vectors(options.vectors)

    messages = [(b"%d, " % number * size)[:size] for number, size in enumerate(options.sizes)]
    prefixes = [struct.pack(">I", len(message)) if options.mode == "messages" else b"" for message in messages]
    log = b"".join(itertools.chain(*zip(prefixes, messages)))
    session = Session(options, log)
    session.run()
    check(session.inbound == log, "the echo is not what was sent")
    check(options.mode == "bytes" or session.messages == messages, "the messages are not those that were sent")
    digest = hashlib.sha256(log).hexdigest()
    print(json.dumps(dict(vectors=vectors, sha256=digest, sessionId=session.id.hex(), **session.report)))


if __name__ == "__main__":
    main()
