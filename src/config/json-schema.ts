/** The config's schema as JSON Schema (draft 2020-12): what `picket schema` prints for editors, and what the reference page is made from. */
import { z } from 'zod'
import type { Notation } from './notation.ts'
import { configSchema } from './schema.ts'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** One place of the schema: the keywords that occur in ours. */
export interface SchemaNode {
  readonly $schema?: string
  readonly title?: string
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: JsonValue
  readonly notation?: Notation
  readonly const?: JsonValue
  readonly enum?: readonly JsonValue[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly required?: readonly string[]
  readonly additionalProperties?: SchemaNode | boolean
  readonly propertyNames?: SchemaNode
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
}

/** With `notation`, which is no keyword of JSON Schema. */
export function describedSchema(): SchemaNode {
  return mapNodes(inputSchema(), withBuiltIn)
}

/** What a file may say; the defaults are those of keys that are always there, not what layers bring. */
export function inputSchema(): SchemaNode {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' }) as unknown as SchemaNode
}

/** A value that the layers under a class bring, shown as the default of its key. */
function withBuiltIn(node: SchemaNode & { readonly builtIn?: JsonValue }): SchemaNode {
  const { builtIn, ...rest } = node
  return builtIn === undefined ? rest : { ...rest, default: builtIn }
}

/** What editors read. */
export function editorSchema(): SchemaNode {
  const { $schema, ...schema } = orNull(mapNodes(describedSchema(), forEditors))
  return { ...($schema === undefined ? {} : { $schema }), title: 'Picket’s configuration', ...schema }
}

/** The notation said in the description, and a key without a value allowed where the key may be left out, as Picket allows it. */
function forEditors({ notation, ...node }: SchemaNode): SchemaNode {
  const { properties, required = [], additionalProperties } = node
  const description = [node.description, notation && notationText(notation)].filter(Boolean).join(' ')
  const emptied = ([key, inner]: [string, SchemaNode]) => [key, required.includes(key) ? inner : orNull(inner)] as const
  return {
    ...node,
    ...(description ? { description } : {}),
    ...(properties && { properties: Object.fromEntries(Object.entries(properties).map(emptied)) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: orNull(additionalProperties) }),
  }
}

function orNull(node: SchemaNode): SchemaNode {
  const { type, enum: choices, anyOf } = node
  if (anyOf) return { ...node, anyOf: [...anyOf, { type: 'null' }] }
  return { ...node, ...(type === undefined ? {} : { type: [type, 'null'].flat() }), ...(choices && { enum: [...choices, null] }) }
}

function notationText({ type, range, unit }: Notation): string {
  const isUnitOfNotation = unit !== undefined && type !== undefined && !type.startsWith('list')
  const words = [type, range && `${type ? ': ' : ''}${range}`, isUnitOfNotation && unit ? ` (${unit})` : '', !type && !range && unit ? `in ${unit}` : '']
  const text = words.filter(Boolean).join('')
  return text && `${text[0]!.toUpperCase()}${text.slice(1)}.`
}

function mapNodes(node: SchemaNode, change: (node: SchemaNode) => SchemaNode): SchemaNode {
  const inside = (inner: SchemaNode) => mapNodes(inner, change)
  const { properties, additionalProperties, propertyNames, items, anyOf } = node
  return change({
    ...node,
    ...(properties && { properties: Object.fromEntries(Object.entries(properties).map(([key, inner]) => [key, inside(inner)])) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: inside(additionalProperties) }),
    ...(propertyNames && { propertyNames: inside(propertyNames) }),
    ...(items && { items: inside(items) }),
    ...(anyOf && { anyOf: anyOf.map(inside) }),
  })
}
