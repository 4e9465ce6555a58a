/** The reference page `docs/config.md`, made from the schema: what `picket schema --markdown` prints. */
import { describedSchema, type JsonValue, type SchemaNode } from './json-schema.ts'

/** Sections whose keys are said by layer, most general first. */
const LAYERS = { classes: 'class', sites: 'site', devices: 'device' } as const

interface Row {
  readonly key: string
  readonly node: SchemaNode
  /** What may be said in its place besides a mapping. */
  readonly type: string
  readonly isRequired: boolean
}

export function referencePage(): string {
  const { properties = {} } = describedSchema()
  const isLayer = (name: string) => Object.hasOwn(LAYERS, name)
  const sections = Object.entries(properties)
    .filter(([name]) => !isLayer(name))
    .map(([name, node]) => section(name, node))
  const at = Object.keys(properties).findIndex(isLayer)
  return [INTRODUCTION, ...sections.slice(0, at), layers(properties), ...sections.slice(at)].join('\n')
}

function section(name: string, node: SchemaNode): string {
  const rows = rowsOf(node, { key: name, type: '', isRequired: false })
  return `## ${name}\n\n${node.description ?? ''}\n\n${table(rows.map((row) => [...cellsOf(row), 'global']))}`
}

/** The keys that classes, sites and devices share, once. */
function layers(properties: Readonly<Record<string, SchemaNode>>): string {
  const known = Object.entries(LAYERS).map(([name, layer]) => {
    const inner = properties[name]?.additionalProperties
    return { layer, node: typeof inner === 'object' ? inner : {} }
  })
  const keys = new Map<string, { row: Row; layers: string[] }>()
  for (const { layer, node } of known) {
    for (const row of rowsOf(node, { key: '', type: '', isRequired: false })) {
      const one = keys.get(row.key) ?? { row, layers: [] }
      one.layers.push(layer)
      keys.set(row.key, one)
    }
  }
  const where = Object.entries(LAYERS).map(([name, layer]) => `- \`${name}.NAME\`, by ${layer}: ${properties[name]?.description ?? ''}`)
  const rows = [...keys.values()].map((one) => [...cellsOf(one.row), one.layers.join(', ')])
  return `## ${Object.keys(LAYERS).join(', ')}\n\n${where.join('\n')}\n\n${LAYER_RULES}\n${table(rows)}`
}

/** A row for each key under `node`; `at` is the node's own. */
function rowsOf(node: SchemaNode, at: Pick<Row, 'key' | 'type' | 'isRequired'>): Row[] {
  const { properties, additionalProperties, items, anyOf } = node
  const under = (key: string) => (at.key ? `${at.key}.${key}` : key)
  if (properties) {
    return Object.entries(properties).flatMap(([key, inner]) => {
      const place = { key: under(key), type: '', isRequired: node.required?.includes(key) ?? false }
      const isMapping = inner.properties !== undefined || typeof inner.additionalProperties === 'object'
      return [...(isMapping && inner.description ? [rowAt(inner, { ...place, type: 'mapping' })] : []), ...rowsOf(inner, place)]
    })
  }
  if (typeof additionalProperties === 'object') return rowsOf(additionalProperties, { ...at, key: under('NAME') })
  if (items && isDeep(items)) return [rowAt(node, at), ...rowsOf(items, { key: `${at.key}[]`, type: '', isRequired: false })]
  const deep = anyOf?.filter(isDeep) ?? []
  if (anyOf && deep.length > 0) {
    const flat = anyOf.filter((one) => !isDeep(one)).map(typeOf)
    return [rowAt({ ...node, notation: {} }, { ...at, type: [...flat, 'a mapping'].join(', or ') }), ...deep.flatMap((one) => rowsOf(one, { ...at, type: '' }))]
  }
  return [rowAt(node, at)]
}

function rowAt(node: SchemaNode, at: Pick<Row, 'key' | 'type' | 'isRequired'>): Row {
  return { ...at, node, type: at.type || typeOf(node) }
}

/** Whether there are keys of its own under it. */
function isDeep(node: SchemaNode): boolean {
  return node.properties !== undefined || typeof node.additionalProperties === 'object' || (node.anyOf?.some(isDeep) ?? false)
}

function typeOf({ notation, type, enum: choices, const: only, anyOf }: SchemaNode): string {
  if (notation?.type) return notation.type
  if (choices) return choices.map(plain).join(', ')
  if (only !== undefined) return plain(only)
  if (anyOf) return anyOf.map(typeOf).join(', or ')
  return { integer: 'whole number', boolean: 'true, false', string: 'text' }[String(type)] ?? String(type)
}

function cellsOf({ key, node, type, isRequired }: Row): string[] {
  const { notation, minimum, maximum } = node
  const range = notation?.range ?? (minimum !== undefined && maximum !== undefined ? `${minimum} to ${maximum}` : '')
  const items = node.items && !isDeep(node.items) ? (node.items.notation?.range ?? typeOf(node.items)) : undefined
  const standing = node.default === undefined || type === 'mapping' ? (isRequired ? 'required' : '–') : `\`${plain(node.default)}\``
  const ranges = [range, items && `each ${items}`].filter(Boolean).join('; ')
  return [`\`${key}\``, type, standing, ranges, notation?.unit ?? '', node.description ?? '']
}

function plain(value: JsonValue): string {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value)
}

const HEADER = ['key', 'type', 'default', 'range', 'unit', 'what it is', 'said by']

function table(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|') || ' ').join(' | ')} |`
  return [line(HEADER), `|${'---|'.repeat(HEADER.length)}`, ...rows.map(line), ''].join('\n')
}

const INTRODUCTION = `# Configuration

This page is made from the schema in \`src/config/schema.ts\` by \`picket schema --markdown\`: change it there. Examples: \`config/picket.yaml\`,
\`config/kafka.yaml\` (beside an MQTT broker and a Kafka that are already there) and \`config/examples/\`.

The configuration is one YAML file (UTF-8, at most 1 MiB): \`--config FILE\`, \`config/picket.yaml\` by default. \`--set KEY=VALUE\` changes one key, its
parts joined by dots, a name with a dot of its own in quotes, lists by number: \`--set listen.http=127.0.0.1:8081\`,
\`--set 'classes.pump.metrics."a.b".above=3'\`. VALUE is YAML; \`null\`, and a key without a value in the file, stand for a key that is not set.

- \`picket check\` says what is wrong, or what the file amounts to; \`picket check --explain DEVICE METRIC\` says what is in force for one metric, and which
  line says so. Unknown keys are refused.
- **Secrets** (\`secret\`, \`password\`, \`key\`, \`token\`): \`\${NAME}\` in their values is replaced by the environment variable, \`\${file:PATH}\` by the content of
  the file without its last line end; in \`username\` and \`clientId\` too, nowhere else. Inside \`{ }\` and \`[ ]\` they need quotes: \`"\${NAME}"\`. A process needs
  those of its roles only. No error, log line, explanation or record in the log shows a secret's value, nor more of a URL than its host.
- **Editors** complete and check the file by the schema: \`picket schema > picket.schema.json\`, and as the first line of the file, for the YAML language
  server (VS Code, Neovim, …):
  \`# yaml-language-server: $schema=./picket.schema.json\`.
  An editor knows keys, types and notations; the bounds of durations and what one key means for another only \`picket check\` knows.

Columns: *said by* is \`global\` for what holds for the whole process, else the layers that may say it. A key under \`NAME\` stands for one of that name,
one under \`[]\` for each of a list.
`

const LAYER_RULES = `What is in force for a device: the built-in default, over it the class \`default\`, then its class, its site, at last the device itself; the most
specific layer that says something wins, metric by metric and key by key. A false-alarm budget is counted by class, so only classes have one.
\`quarantine: never\` is lifted by a site or device only if that names \`from\`; by a class over \`default\` also with \`for\` alone.
What a lower layer says can be changed but not taken back: for a limit that is none, \`above: 1e308\`.
`
