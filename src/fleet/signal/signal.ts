/** Port: what the sensors of one simulated device say, a sampling period after the other. */

export type Readings = Readonly<Record<string, number | boolean | string>>

export interface Signal {
  /** One period further. `wornS`: for how long a bearing has been wearing, s; 0 while all is well. Devices without one take no notice. */
  next(wornS: number): Readings
}
