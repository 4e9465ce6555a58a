"""What the reference prototype says of each reading of a CSV of timestamp,value: a line `clock since value uZ uS uC u` each; asked by prototype.ts.
   python3 prototype.py PATH/TO/univariate.py FILE.csv"""
import csv, importlib.util, sys
from datetime import datetime

spec = importlib.util.spec_from_file_location('univariate', sys.argv[1])
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)

row, out, before = [0.0] * reference.FULL, [0.0] * 8, None
with open(sys.argv[2]) as file:
    for time, value in list(csv.reader(file))[1:]:
        at = datetime.strptime(time[:19], '%Y-%m-%d %H:%M:%S')
        since = 300.0 if before is None else max((at - before).total_seconds(), 1.0)
        before = at
        clock = at.hour + 24 * (at.weekday() > 4)
        reference.step(row, float(value), clock, since, False, out)
        print(clock, since * 1000, repr(float(value)), *(repr(u) for u in (out[0], out[1], out[2], out[4])))
