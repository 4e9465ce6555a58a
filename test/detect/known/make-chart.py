"""Makes chart.json: what the reference prototype of the alarm chart (chart.py of the detection notes) says of the devices that chart.test.ts makes too.
   python make-chart.py PATH/TO/chart.py > chart.json; needs numpy; numba's decorators are left out where it is missing."""
import importlib.util, json, sys, types
import numpy as np

from noise import noise

try:
    import numba
except ImportError:
    plain = types.ModuleType('numba')
    plain.njit = lambda *given, **named: given[0] if given else (lambda function: function)
    sys.modules['numba'] = plain

spec = importlib.util.spec_from_file_location('chart', sys.argv[1])
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)

METRICS, LENGTH, WARMUP = 5, 1100, 400


def device(kind):
    """Values [row][metric] and which were reported. A fault from row 700 to 899, a metric that drifts all the time."""
    draw = noise(7)
    values, reported = np.zeros((LENGTH, METRICS)), np.ones((LENGTH, METRICS), bool)
    for t in range(LENGTH):
        e = [next(draw) for _ in range(METRICS)]
        bad = 700 <= t < 900
        values[t] = [100 + 2 * e[0] + e[1] + (4 if bad and kind == 'step' else 0),
                     5 + 0.1 * (e[0] + e[2]) + 0.0004 * t,
                     101325 + 10 * (e[1] - e[3]),
                     0.02 * e[4] + (0.5 * 0.02 if bad and kind == 'step' else 0),
                     30 + e[2] * e[2] + (-3 if bad and kind == 'relation' else 1) * 0.5 * e[0]]
        if kind == 'missing' and t > 0: reported[t] = [(t * 7 + 3 * j) % 5 > 0 for j in range(METRICS)]
    return values, reported


answers = {}
for kind in ['step', 'relation', 'missing']:
    values, reported = device(kind)
    fit = WARMUP - WARMUP // 5
    score = reference.stream_chart(values, reported, 15, 150, 2.5, 60, fit, WARMUP - fit, 0.05, 20.0, 5000, 4 * METRICS, 1.0, 1)
    answers[kind] = [[t, round(float(score[t]), 6)] for t in range(WARMUP, LENGTH) if t % 7 == 0]
json.dump(answers, sys.stdout, separators=(',', ':'))
print()
