/** What this process started and must not outlive it: a small shell beside it ends that, even when this process is killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

type Kind = 'pid' | 'box' | 'dir'

class Watchdog {
  #shell: ChildProcess | null = null

  hold(kind: Kind, what: string | number): void {
    this.#say(`+ ${kind} ${what}`)
  }

  /** It is gone; its process id may be another's soon. */
  letGo(kind: Kind, what: string | number): void {
    this.#say(`- ${kind} ${what}`)
  }

  #say(line: string): void {
    this.#shell ??= this.#start()
    this.#shell.stdin!.write(`${line}\n`)
  }

  /** In a session of its own: Ctrl-C at the terminal is not for it. */
  #start(): ChildProcess {
    const script = fileURLToPath(new URL('watchdog.sh', import.meta.url))
    const shell = spawn('/bin/sh', [script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    shell.unref()
    ;(shell.stdin as unknown as { unref(): void }).unref()
    return shell
  }
}

export const watchdog = new Watchdog()

export interface Folder {
  readonly path: string
  remove(): Promise<void>
}

/** A temporary folder that is gone when this process is. */
export async function makeFolder(name: string): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), `picket-${name}-`))
  watchdog.hold('dir', path)
  return {
    path,
    remove: async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
      watchdog.letGo('dir', path)
    },
  }
}
