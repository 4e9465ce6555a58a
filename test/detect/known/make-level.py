"""Makes level.json: what the reference prototype of part Z (univariate.py of the detection notes) says of the series that level.test.ts makes too.
   python make-level.py PATH/TO/univariate.py > level.json"""
import importlib.util, json, sys

from noise import noise

spec = importlib.util.spec_from_file_location('univariate', sys.argv[1])
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


def series(kind, length):
    draw = noise(length)
    for t in range(length):
        e = next(draw)
        if kind == 'spikes': yield 20 + 3 * e + (25 if t % 197 == 196 else 0)
        elif kind == 'pressure': yield 101325 + 10 * e + (40 if t % 331 == 330 else 0)
        elif kind == 'shift': yield 5 + e + (8 if t >= 600 else 0)
        elif kind == 'stuck': yield 7 + (e if t >= 300 else 0)
        elif kind == 'heavy': yield 100 * e * e * e
        elif kind == 'quantised': yield int(10 + 2 * e)
        elif kind == 'long': yield 1 + e + (t % 1000) / 250


answers = {}
for kind, length in [('spikes', 2000), ('pressure', 3000), ('shift', 2000), ('stuck', 900), ('heavy', 2000), ('quantised', 1500), ('long', 150000)]:
    row, out, known = [0.0] * reference.FULL, [0.0] * 8, []
    every = max(25, length // 200)
    for t, x in enumerate(series(kind, length)):
        reference.step(row, x, 0, 300.0, False, out)
        if t < 15 or t % every == 0 or out[0] > 3: known.append([t, round(out[0], 7)])
    answers[kind] = {'length': length, 'known': known}
json.dump(answers, sys.stdout, separators=(',', ':'))
print()
