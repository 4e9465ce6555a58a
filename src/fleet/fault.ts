/** What can be wrong with a simulated device, and when: the truth a detector is measured against. */

interface Span {
  /** ms since the fleet's start; the fault lasts from `from` up to `to`. */
  readonly from: number
  readonly to: number
}

/** `spike`: a metric jumps far from its baseline, by so many of its standard deviations. */
export interface Spike extends Span {
  readonly kind: 'spike'
  readonly metric: string
  readonly sds: number
}

/** `breach`: a metric takes a value that is allowed by nobody, though not far from its own noise. */
export interface Breach extends Span {
  readonly kind: 'breach'
  readonly metric: string
  readonly value: number
}

/** `silence`: the device says nothing. */
export interface Silence extends Span {
  readonly kind: 'silence'
}

/** `crowd`: every message brings so many metrics nobody has seen before. */
export interface Crowd extends Span {
  readonly kind: 'crowd'
  readonly metrics: number
}

export type Fault = Spike | Breach | Silence | Crowd
