"""The device contract, as docs/device.md has it. `python3 -m unittest` in this folder; needs nothing installed."""
import json
import unittest

from picket_device import IDS_KEPT, Contract, topic_level

NOW = 1_700_000_000_000


class Stage:
    def __init__(self, **options):
        self.time = NOW
        self.answers = []
        self.switches = []
        self.kept = None
        self.contract = Contract(
            "p-7", self.answers.append, on_quarantine=lambda on, reason: self.switches.append(on), remember=self.keep, now=lambda: self.time, **options
        )

    def keep(self, remembered):
        self.kept = json.loads(json.dumps(remembered))

    def command(self, **fields):
        body = {"v": 1, "id": "c-1", "generation": 10, "kind": "quarantine", "device": "p-7", "reason": "why", "incident": "i", "issued": NOW,
                "expires": NOW + 60_000, "ttl": 60, "reply": "picket/p-7/ack"}
        self.contract.receive("command", json.dumps({**body, **fields}).encode())

    def desired(self, **fields):
        body = {"v": 1, "state": "quarantined", "generation": 10, "until": NOW + 60_000, "reason": "why"}
        self.contract.receive("desired", json.dumps({**body, **fields}).encode())

    def statuses(self):
        return [answer["status"] for answer in self.answers]


class ADevice(unittest.TestCase):
    def test_told_to_accepts_stops_and_says_so(self):
        stage = Stage()
        stage.command()
        self.assertEqual(stage.statuses(), ["accepted", "done"])
        self.assertTrue(stage.contract.quarantined)

    def test_goes_on_when_released(self):
        stage = Stage()
        stage.command()
        stage.command(id="c-2", generation=11, kind="release")
        self.assertEqual(stage.switches, [True, False])

    def test_executes_an_id_once_and_answers_the_repeat_the_same(self):
        stage = Stage()
        stage.command()
        stage.command()
        self.assertEqual(stage.statuses(), ["accepted", "done", "done"])
        self.assertEqual(stage.switches, [True])

    def test_ends_its_quarantine_by_itself(self):
        stage = Stage()
        stage.command()
        stage.time += 59_999
        stage.contract.tick()
        self.assertTrue(stage.contract.quarantined)
        stage.time += 1
        stage.contract.tick()
        self.assertFalse(stage.contract.quarantined)

    def test_rejects_an_older_generation(self):
        stage = Stage()
        stage.command(id="c-2", generation=11, kind="release")
        stage.command()
        self.assertEqual(stage.statuses()[-1], "rejected")
        self.assertFalse(stage.contract.quarantined)

    def test_rejects_an_expired_quarantine(self):
        stage = Stage()
        stage.command(expires=NOW)
        self.assertEqual(stage.answers[-1]["reason"], "expired")

    def test_without_a_clock_counts_the_seconds_it_is_told(self):
        stage = Stage(has_clock=False)
        stage.command(expires=1, ttl=60)
        self.assertTrue(stage.contract.quarantined)

    def test_takes_no_end_that_never_comes(self):
        for has_clock in (True, False):
            stage = Stage(has_clock=has_clock)
            stage.command(expires=float("inf"), ttl=float("inf"))
            self.assertEqual(stage.answers[-1]["reason"], "expired")

    def test_without_a_clock_keeps_the_retained_quarantine_until_it_is_released(self):
        stage = Stage(has_clock=False)
        stage.desired()
        stage.contract.tick()
        self.assertTrue(stage.contract.quarantined)
        stage.desired(state="normal", generation=11, until=None)
        self.assertFalse(stage.contract.quarantined)

    def test_rejects_what_is_for_another_device(self):
        stage = Stage()
        stage.command(device="p-8")
        self.assertIn("not for p-7", stage.answers[-1]["reason"])

    def test_adopts_the_retained_state_and_then_calls_its_command_done(self):
        stage = Stage()
        stage.desired()
        self.assertTrue(stage.contract.quarantined)
        self.assertEqual(stage.answers, [])
        stage.command()
        self.assertEqual(stage.statuses(), ["accepted", "done"])
        self.assertEqual(stage.switches, [True])

    def test_ignores_an_older_retained_state(self):
        stage = Stage()
        stage.command(id="c-2", generation=11, kind="release")
        stage.desired()
        self.assertFalse(stage.contract.quarantined)

    def test_remembers_over_a_restart_what_it_obeyed(self):
        stage = Stage()
        stage.command()
        again = Stage(remembered=stage.kept)
        again.command()
        self.assertEqual(again.statuses(), ["done"])
        self.assertEqual(again.switches, [])

    def test_keeps_no_more_ids_than_it_says(self):
        stage = Stage()
        for i in range(IDS_KEPT + 5):
            stage.command(id=f"c-{i}", generation=20 + i)
        self.assertEqual(len(stage.kept["answers"]), IDS_KEPT)

    def test_survives_rubbish(self):
        stage = Stage()
        for payload in (b"", b"\xff", b"[]", b"null", b"[" * 100_000, b'{"v":1}', b'{"v":1,"id":[],"generation":1e999}', b'{"v":1,"id":"x","generation":true}'):
            stage.contract.receive("command", payload)
            stage.contract.receive("desired", payload)
        self.assertFalse(stage.contract.quarantined)

    def test_writes_its_name_as_one_topic_level(self):
        self.assertEqual(topic_level("leeds/p%7+#"), "leeds%2Fp%257%2B%23")


if __name__ == "__main__":
    unittest.main()
