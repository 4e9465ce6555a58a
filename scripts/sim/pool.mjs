/** Runs seeds in processes of their own, two at a time where there are many. */
import { fork } from 'node:child_process'

const NOTHING = { simulatedMs: 0, events: 0, messages: 0, crashes: 0, incidents: 0, quarantines: 0, digest: '' }

/** Nothing a seed does takes so long, ms. */
const STUCK_MS = 180_000

/**
 * @param {string} file The bundle.
 * @param {{seed: number, options?: unknown, verbose?: boolean}[]} tasks
 * @param {{workers: number, each: (answer: any) => boolean | void}} how `each(answer, task)` is called in the order the seeds end; true: no more of them.
 */
export async function runSeeds(file, tasks, { workers, each }) {
  const left = [...tasks]
  let isOver = false
  const work = async () => {
    let child = start(file)
    while (left.length > 0 && !isOver) {
      const task = left.shift()
      const answer = await ask(child, task)
      if (answer.died) child = start(file)
      if (!isOver && each(answer, task) === true) isOver = true
    }
    child.kill('SIGKILL')
  }
  await Promise.all(Array.from({ length: Math.min(workers, tasks.length) }, work))
}

function start(file) {
  return fork(file, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

/** A child that dies, or is never done, has failed its seed. */
function ask(child, task) {
  return new Promise((resolve) => {
    const end = (answer) => {
      clearTimeout(timer)
      child.off('message', onMessage)
      child.off('exit', onExit)
      resolve(answer)
    }
    const fail = (broken) => end({ died: true, verdict: { ...NOTHING, seed: task.seed, broken }, options: task.options ?? {} })
    const onMessage = (answer) => end(answer)
    const onExit = (code, signal) => fail(`the simulation died (${signal ?? `exit ${code}`})`)
    const timer = setTimeout(() => {
      child.off('exit', onExit)
      child.kill('SIGKILL')
      fail(`not done within ${STUCK_MS / 1000} s`)
    }, STUCK_MS)
    child.on('message', onMessage)
    child.on('exit', onExit)
    child.send(task)
  })
}
