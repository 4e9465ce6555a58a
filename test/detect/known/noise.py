"""The noise of the series that the prototypes are asked about; noise.ts draws the same."""


def noise(seed):
    """Sums of four uniform numbers of a linear congruential generator: exact in every language. Mean 0, within ±2."""
    state = seed
    while True:
        total = -2.0
        for _ in range(4):
            state = (state * 1664525 + 1013904223) % 2**32
            total += state / 2**32
        yield total
