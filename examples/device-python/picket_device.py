"""The device's side of Picket's device contract, version 1 (docs/device.md), without a network: what to answer, and when to be quarantined.

Only the standard library; with a public key also `cryptography`. `device.py` beside it brings MQTT. Times are ms since epoch.
"""
import base64
import json
import threading
import time
from collections import OrderedDict

VERSION = 1
# Ids of commands that are remembered, with the answer each got.
IDS_KEPT = 32
_ESCAPES = {"/": "%2F", "%": "%25", "+": "%2B", "#": "%23", "\0": "%00"}
# JSON numbers that every device can hold exactly.
_LARGEST = 2**53 - 1


def topic_level(device):
    """A device's name as one topic level: / % + # and NUL percent-encoded."""
    return "".join(_ESCAPES.get(char, char) for char in device)


class Contract:
    """Takes what comes under `command` and `desired`, and says what to answer. Callers may use it from several threads.

    answer(dict)               publish it under picket/DEVICE/ack, QoS 1
    on_quarantine(bool, str)   stop the motor, close the valve; or go on. Called when the state changes
    remembered, remember(dict) what outlives a restart: {"generation", "answers"}; remember is called before a command is answered
    public_key                 Ed25519 in PEM, bytes: commands it did not sign are rejected. None: any command is obeyed
    has_clock                  False: counts `ttl` seconds from receipt instead of comparing times
    now                        ms since epoch
    """

    def __init__(self, device, answer, on_quarantine=None, remembered=None, remember=None, public_key=None, has_clock=True, now=None, log=None):
        self.device = device
        self.quarantined = False
        self._answer = answer
        self._on_quarantine = on_quarantine or (lambda quarantined, reason: None)
        self._remember = remember or (lambda remembered: None)
        self._key = _load_key(public_key)
        self._has_clock = has_clock
        self._now = now or (lambda: int(time.time() * 1000))
        self._log = log or (lambda line: None)
        self._lock = threading.RLock()
        self._ends = None
        remembered = remembered or {}
        self.generation = remembered.get("generation", 0)
        self._answers = OrderedDict((a["id"], (a["status"], a["reason"])) for a in remembered.get("answers", []))

    def receive(self, kind, payload):
        """`kind`: "command" or "desired", the last level of the topic; `payload`: bytes. Never raises for what it is sent."""
        message = _parse(payload)
        if message is None or message.get("v") != VERSION:
            return self._log(f"{kind}: not a message of version {VERSION}")
        with self._lock:
            if kind == "command":
                self._obey(message)
            elif kind == "desired":
                self._adopt(message)

    def tick(self):
        """To be called about once a second: a quarantine ends by itself, nobody has to reach the device for that."""
        with self._lock:
            if self._ends is not None and self._monotonic_or_wall() >= self._ends:
                self._release("quarantine over")

    # An id is executed once; a repeat gets the answer the first got.
    def _obey(self, command):
        known = self._answers.get(command.get("id")) if isinstance(command.get("id"), str) else None
        if known:
            return self._say(command, *known)
        # Not remembered: a forger must not be able to spoil an id.
        names = ("v", "id", "generation", "kind", "device", "issued", "expires", "reply", "reason")
        if not self._is_signed([command.get(name) for name in names], command.get("sig")):
            return self._say(command, "rejected", "bad signature")
        refusal = self._refusal_of(command)
        if refusal:
            return self._settle(command, "rejected", refusal)
        self._say(command, "accepted", "")
        self.generation = command["generation"]
        if command["kind"] == "quarantine":
            self._quarantine(self._left(command.get("expires"), command.get("ttl")), str(command.get("reason", "")))
        else:
            self._release(str(command.get("reason", "")))
        self._settle(command, "done", "")

    def _refusal_of(self, command):
        generation, kind = command.get("generation"), command.get("kind")
        if not isinstance(command.get("id"), str) or not _is_whole(generation):
            return "no id or generation"
        if command.get("device") != self.device:
            return f"for {command.get('device')}, not for {self.device}"
        if kind not in ("quarantine", "release"):
            return f"unknown kind {kind}"
        # The release of a quarantine that is over does no harm.
        if kind == "quarantine" and not self._left(command.get("expires"), command.get("ttl")) > 0:
            return "expired"
        # Its desired state, of the same generation, comes first and may have done it already.
        is_done = generation == self.generation and self.quarantined == (kind == "quarantine")
        return "" if generation > self.generation or is_done else f"generation {generation} is not newer than {self.generation}"

    # The retained state, for a device that was away when the command came. It is not answered.
    def _adopt(self, desired):
        generation, state, until = desired.get("generation"), desired.get("state"), desired.get("until")
        if not _is_whole(generation) or state not in ("normal", "quarantined"):
            return self._log("desired: no generation or state")
        lines = [desired.get("v"), "", generation, state, self.device, "", "" if until is None else until, "", desired.get("reason")]
        if not self._is_signed(lines, desired.get("sig")):
            return self._log("desired: bad signature")
        if generation < self.generation:
            return None
        self.generation = generation
        # Without a clock the rest of the quarantine is unknown: it lasts until the release, or a command with its ttl.
        left = self._left(until, 0) if self._has_clock else float("inf")
        if state == "quarantined" and left > 0:
            self._quarantine(left, str(desired.get("reason", "")))
        else:
            self._release(str(desired.get("reason", "")))
        self._keep()

    def _left(self, until, ttl_seconds):
        """ms that are left until a time, or by a count of seconds from now where there is no clock. What is no number is over."""
        if self._has_clock:
            return until - self._now() if _is_number(until) else 0
        return ttl_seconds * 1000 if _is_number(ttl_seconds) else 0

    def _quarantine(self, ms, reason):
        self._ends = None if ms == float("inf") else self._monotonic_or_wall() + ms
        self._switch(True, reason)

    def _release(self, reason):
        self._ends = None
        self._switch(False, reason)

    def _monotonic_or_wall(self):
        return self._now() if self._has_clock else time.monotonic() * 1000

    def _switch(self, quarantined, reason):
        if self.quarantined == quarantined:
            return
        self.quarantined = quarantined
        self._log(("quarantined: " if quarantined else "released: ") + reason)
        self._on_quarantine(quarantined, reason)

    def _settle(self, command, status, reason):
        if isinstance(command.get("id"), str):
            self._answers[command["id"]] = (status, reason)
            if len(self._answers) > IDS_KEPT:
                self._answers.popitem(last=False)
        self._keep()
        self._say(command, status, reason)

    def _keep(self):
        answers = [{"id": id, "status": status, "reason": reason} for id, (status, reason) in self._answers.items()]
        self._remember({"generation": self.generation, "answers": answers})

    def _say(self, command, status, reason):
        self._answer({"v": VERSION, "id": command.get("id"), "generation": command.get("generation"), "status": status, "reason": reason})

    def _is_signed(self, lines, sig):
        if self._key is None:
            return True
        if not isinstance(sig, str):
            return False
        text = "\n".join("" if line is None else str(line) for line in lines)
        try:
            self._key.verify(base64.b64decode(sig, validate=True), text.encode("utf-8"))
        except Exception:  # not base64, or not of this key: either way nobody signed it
            return False
        return True


def _load_key(pem):
    if pem is None:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("the public key should be Ed25519")
    return key


# Python reads 1e999 and NaN as numbers: a quarantine until then would never end.
def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _parse(payload):
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        return None  # a device has nobody to tell; the caller logs it
    return message if isinstance(message, dict) else None
