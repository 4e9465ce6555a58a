/** `picket schema`: the configuration's JSON Schema for editors, or its reference page. */
import type { Command } from 'commander'
import { editorSchema } from '../config/json-schema.ts'
import { referencePage } from '../config/reference.ts'
import type { CliIo } from './io.ts'

export function addSchema(program: Command, io: CliIo): void {
  program
    .command('schema')
    .description("print the configuration's JSON Schema, for editors")
    .option('--markdown', 'the reference page instead, docs/config.md')
    .action(({ markdown }: { readonly markdown?: boolean }) => {
      io.stdout.write(markdown ? referencePage() : `${JSON.stringify(editorSchema(), null, 2)}\n`)
    })
}
