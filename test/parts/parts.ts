/** What a test file and the coordinator of the run say to each other about the real parts. */
import type { Doors } from './kafka-doors.ts'

export const PARTS = {
  kafka: { name: 'Kafka', needs: 'a JDK 17 and Maven, or Docker, or KAFKA_BROKERS' },
  mosquitto: { name: 'Mosquitto', needs: "the program mosquitto, Debian's package of that name" },
  promtool: { name: 'promtool', needs: "the program promtool, of Debian's package prometheus" },
} as const
export type Part = keyof typeof PARTS

/** Why the part can't be had here; null: it can. */
export type Missing = Readonly<Record<Part, string | null>>

/** A Kafka that all files of the run share: make topics, groups and ids of your own, and delete what you made. */
export interface SharedKafka {
  readonly brokers: readonly string[]
  /** null: those of KAFKA_BROKERS are not known. */
  readonly doors: Doors | null
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the coordinator answers. */
    readonly parts: string
  }
}
