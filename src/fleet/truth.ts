/** What is wrong with which device of the demonstration, and when: the truth that what Picket says is held against. */

export const TROUBLES = ['bearing', 'stuck', 'takeover', 'silence', 'clock'] as const
/**
 * `bearing`: it wears, shakes and heats; `stuck`: one sensor says its last value again and again; `takeover`: somebody else's program floods and sends what
 * the device never sent; `silence`: nothing comes any more; `clock`: it runs far too fast.
 */
export type Trouble = (typeof TROUBLES)[number]

export interface Truth {
  readonly device: string
  readonly kind: Trouble
  /** ms since the fleet's start; it lasts from `from` up to `to`, or until the device was mended. */
  readonly from: number
  readonly to: number
  /** Of a sensor that sticks; '' for the others. */
  readonly metric: string
}

/** In words, for people. */
export function inWords({ kind, metric }: Pick<Truth, 'kind' | 'metric'>): string {
  switch (kind) {
    case 'bearing':
      return 'a bearing wears'
    case 'stuck':
      return `its ${metric} sensor sticks`
    case 'takeover':
      return 'it is taken over'
    case 'silence':
      return 'it goes silent'
    case 'clock':
      return 'its clock runs away'
  }
}
