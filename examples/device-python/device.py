#!/usr/bin/env python3
"""A device from the command line: publishes a reading a second and obeys Picket's device contract (docs/device.md).

    pip install -r requirements.txt
    python3 examples/device-python/device.py --device pump-9 --class pump
"""
import argparse
import json
import math
import os
import random
import sys
import time
from urllib.parse import urlparse

import paho.mqtt.client as mqtt

from picket_device import Contract, topic_level


def arguments():
    parser = argparse.ArgumentParser(description="A device that publishes readings and obeys Picket's device contract.")
    parser.add_argument("--device", required=True)
    parser.add_argument("--class", dest="klass", default="pump")
    parser.add_argument("--url", default="mqtt://127.0.0.1:1883")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two readings")
    parser.add_argument("--password", help="where the broker has credentials; the user is the device")
    parser.add_argument("--public-key", help="Ed25519 in PEM: rejects commands it did not sign")
    parser.add_argument("--state", help="file that keeps what a device must remember over a restart")
    parser.add_argument("--odd", type=float, help="vibration is far too high after so many seconds, to see a quarantine")
    return parser.parse_args()


def read_json(path):
    if not path or not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write_json(path, value):
    if not path:
        return
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def read_bytes(path):
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()


def readings(started, odd_after):
    seconds = time.time() - started
    odd = odd_after is not None and seconds >= odd_after
    swing = math.sin(seconds / 20)
    return {
        "ts": int(time.time() * 1000),
        "temperature": 60 + 2 * swing + random.random(),
        "vibration": (40 if odd else 2) + 0.2 * swing + 0.3 * random.random(),
        "running": True,
    }


def main():
    options = arguments()
    # A reason that the terminal can't show must not end the thread that listens.
    sys.stdout.reconfigure(errors="backslashreplace")
    url = urlparse(options.url)
    level = topic_level(options.device)
    say = lambda line: print(f"{options.device} {line}", flush=True)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=options.device, clean_session=True, protocol=mqtt.MQTTv311)
    contract = Contract(
        options.device,
        answer=lambda ack: client.publish(f"picket/{level}/ack", json.dumps(ack), qos=1),
        remembered=read_json(options.state),
        remember=lambda remembered: write_json(options.state, remembered),
        public_key=read_bytes(options.public_key),
        log=say,
    )
    # Desired first: its retained state is there before any command.
    client.on_connect = lambda client, *_: client.subscribe([(f"picket/{level}/desired", 1), (f"picket/{level}/command", 1)])
    client.on_subscribe = lambda *_: say("listening")
    client.on_message = lambda _client, _data, message: contract.receive(message.topic.rsplit("/", 1)[1], message.payload)
    client.reconnect_delay_set(min_delay=1, max_delay=30)
    client.max_queued_messages_set(1000)
    if options.password is not None:
        client.username_pw_set(options.device, options.password)
    client.connect_async(url.hostname or "127.0.0.1", url.port or 1883)
    client.loop_start()
    started = time.time()
    try:
        while True:
            contract.tick()
            if not contract.quarantined:
                client.publish(f"telemetry/{options.klass}/{options.device}", json.dumps(readings(started, options.odd)), qos=1)
            time.sleep(options.every)
    except KeyboardInterrupt:
        client.disconnect()
        client.loop_stop()
        return 0


if __name__ == "__main__":
    sys.exit(main())
