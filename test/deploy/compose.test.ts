/** The composition as it is written: confined, ordered by health, open to nobody, each service with its own secrets. test/acceptance/containers.ts runs it. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/config.ts'

interface Service {
  readonly image: string
  readonly user?: string
  readonly read_only?: boolean
  readonly privileged?: boolean
  readonly cap_drop?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly pids_limit?: number
  readonly mem_limit?: string
  readonly profiles?: readonly string[]
  readonly networks?: readonly string[]
  readonly network_mode?: string
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean }
}

const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
  readonly volumes: Readonly<Record<string, null>>
}
const services = Object.entries(compose.services).map(([name, service]) => ({ name, ...service }))
const ROLES = ['ingest', 'detect', 'respond'] as const

describe('a service', () => {
  it.each(services)('$name has no capability, can gain none, and is bounded', ({ name, cap_drop, cap_add = [], security_opt, pids_limit, mem_limit, privileged }) => {
    expect(cap_drop).toEqual(['ALL'])
    // What makes the secrets gives them to their readers.
    expect(cap_add).toEqual(name === 'secrets' ? ['CHOWN'] : [])
    expect(security_opt).toContain('no-new-privileges:true')
    expect(pids_limit).toBeGreaterThan(0)
    expect(mem_limit).toMatch(/^\d+[mg]$/)
    expect(privileged).toBeUndefined()
  })

  it.each(services.filter(({ image }) => image.includes('PICKET_IMAGE')))('$name, of Picket, writes nowhere and is not root', ({ name, read_only, user }) => {
    expect(read_only).toBe(true)
    expect(user).toBe(name === 'secrets' ? '0:0' : '1000:1000')
  })

  it.each(services)('$name takes an image by its version', ({ image }) => {
    expect(image).toMatch(/^\$\{[A-Z]+_IMAGE:-[^}]+:[^}:]+\}$/)
    expect(image).not.toMatch(/:latest\}/)
  })

  it.each(services.filter(({ ports }) => ports))('$name is reached from this machine only, at ports the environment may change', ({ ports }) => {
    for (const port of ports!) expect(port).toMatch(/^\$\{PICKET_BIND:-127\.0\.0\.1\}:\$\{[A-Z]+_PORT:-\d+\}:\d+$/)
  })

  it.each(services.filter(({ depends_on }) => depends_on))('$name waits for the health of what it needs, which can tell it', ({ depends_on }) => {
    for (const [needed, { condition }] of Object.entries(depends_on!)) {
      expect(condition).toBe('service_healthy')
      expect(compose.services[needed]!.healthcheck?.test).toBeDefined()
    }
  })
})

describe('secrets', () => {
  const mounted = (service: Service) => (service.volumes ?? []).map((volume) => volume.split(':')[0]!).filter((volume) => volume.includes('secrets'))

  it('are each in a volume that its reader alone has, and only to read', () => {
    for (const volume of Object.keys(compose.volumes).filter((name) => name.endsWith('-secrets'))) {
      const readers = services.filter((service) => service.name !== 'secrets' && mounted(service).includes(volume))
      expect(readers, volume).toHaveLength(1)
      expect(readers[0]!.volumes).toContain(`${volume}:/run/secrets:ro`)
    }
  })

  it('are in one volume a service at most', () => {
    for (const service of services) if (service.name !== 'secrets') expect(mounted(service).length).toBeLessThanOrEqual(1)
  })

  it('are made by who has no network', () => {
    expect(compose.services['secrets']!.network_mode).toBe('none')
  })

  it('stand in no file of the composition', () => {
    for (const { environment = {} } of services) expect(Object.keys(environment).filter((key) => /PASSWORD|SECRET|TOKEN/.test(key))).toEqual([])
  })
})

describe('networks', () => {
  const members = (network: string) => services.filter(({ networks }) => networks?.includes(network)).map(({ name }) => name).toSorted()

  it('let the roles reach Kafka and nobody else, and it nobody outside', () => {
    expect(members('log')).toEqual(['detect', 'ingest', 'kafka', 'kafka-rights', 'respond'])
    expect(compose.networks['log']).toEqual({ internal: true })
  })

  it('keep detect from MQTT', () => {
    expect(members('devices')).toEqual(['fleet', 'ingest', 'mosquitto', 'respond'])
  })
})

describe('the demo fleet', () => {
  it('is on where nobody says otherwise, as a profile', () => {
    expect(compose.services['fleet']!.profiles).toEqual(['demo'])
    expect(readFileSync('.env', 'utf8')).toMatch(/^COMPOSE_PROFILES=demo$/m)
  })
})

describe('the configuration', () => {
  const load = (role: string) =>
    loadConfig({ file: 'deploy/picket/picket.yaml', set: [`roles=[${role}]`], environment: { ...compose.services[role]!.environment }, unsetSecrets: 'leave' })

  it.each(ROLES)('is good for %s, under the names that its service gives it', (role) => {
    const { roles, log, sources } = load(role)
    expect(roles).toEqual([role])
    expect(log.kafka?.sasl?.username).toBe(`picket-${role}`)
    if (role !== 'detect') expect(sources[0]!.mqtt?.username).toBe(`picket-${role}`)
  })

  it.each(ROLES)('is what %s is started with', (role) => {
    const { command, volumes } = compose.services[role]!
    expect(command).toEqual(['run', '--roles', role])
    expect(volumes).toContain('./deploy/picket:/picket/config:ro')
  })

  it('is the same to all of them in what scores depend on', () => {
    expect(new Set(ROLES.map((role) => load(role).settingsHash)).size).toBe(1)
  })
})
