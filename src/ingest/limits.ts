/** The bounds of everything ingest takes in or keeps, all from the config. */

export interface IngestLimits {
  /** Most bytes of a payload; larger ones are dead letters. */
  readonly payloadBytes: number
  /** Deepest object inside a JSON payload; 1 is a flat object. */
  readonly nesting: number
  /** Most metrics in a sample. */
  readonly fields: number
  /** Most samples in a payload. */
  readonly samples: number
  /** Longest name of a device, metric or topic part, in UTF-16 units. */
  readonly nameLength: number
  /** Most metrics of a device; further ones are left out of the frame. */
  readonly metricsPerDevice: number
  /** Devices whose metrics are remembered; the one unseen for longest is forgotten first and may then bring others. */
  readonly knownDevices: number
  /** Messages (each sample is one), and their payloads' bytes, taken in and not yet durable, over all partitions. Beyond: QoS 0 is dropped, QoS 1 and 2 wait. */
  readonly queue: { readonly messages: number; readonly bytes: number }
  /** Appends under way in a partition, in records and bytes; beyond, messages gather into fuller frames. */
  readonly inFlight: { readonly records: number; readonly bytes: number }
  /** Most messages of a frame, 1 to 4,096; left out: 4,096. With 1 each record of the readings has its device as key. */
  readonly frameMessages?: number
}
