"""Makes residual.json: what the reference prototype of parts S and C (univariate.py of the detection notes) says of the series that residual.test.ts makes too.
   python make-residual.py PATH/TO/univariate.py > residual.json"""
import importlib.util, json, sys

from noise import noise

spec = importlib.util.spec_from_file_location('univariate', sys.argv[1])
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


def series(kind, length):
    """Clock bin, seconds since the reading before, value; the first is a Monday's midnight."""
    draw = noise(length)
    at, since = 0, 300
    for t in range(length):
        e = next(draw)
        hour, weekend = at // 3600 % 24, at // 86400 % 7 > 4
        course = abs(hour - 12) - (5 if weekend else 0)
        if kind == 'daily': x = 20 + course + e + (8 if 2500 <= t < 2530 else 0) + (-9 if t % 701 == 700 else 0)
        elif kind == 'drift': x = 5 + e + max(0, t - 1500) / 200
        elif kind == 'pressure': x = 101325 + 10 * course + 4 * e + (60 if t % 331 == 330 else 0)
        elif kind == 'irregular': x = 3 * course + e
        elif kind == 'flat': x = 7 + (e if t >= 600 else 0)
        elif kind == 'quantised': x = int(10 + course + 2 * e)
        elif kind == 'long': x = 1 + course / 10 + e + (t % 1000) / 250
        yield hour + (24 if weekend else 0), since, x
        since = (60, 3600, 7, 300)[t % 4] if kind == 'irregular' else 900
        at += since


answers = {}
for kind, length in [('daily', 4000), ('drift', 3000), ('pressure', 3000), ('irregular', 2000), ('flat', 1500), ('quantised', 1500), ('long', 100000)]:
    row, out, known = [0.0] * reference.FULL, [0.0] * 8, []
    every = max(25, length // 100)
    for t, (clock, since, x) in enumerate(series(kind, length)):
        reference.step(row, x, clock, since, False, out)
        if t < 15 or t % every == 0 or max(out[1], out[2]) > 3.4: known.append([t, round(out[1], 7), round(out[2], 7)])
    answers[kind] = {'length': length, 'known': known}
json.dump(answers, sys.stdout, separators=(',', ':'))
print()
