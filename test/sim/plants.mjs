/** Bugs put in on purpose, each by texts of the product that stand exactly once: what the simulation is worth is whether it finds them. */

export const PLANTS = [
  {
    name: 'ack before flush',
    edits: [{ file: 'src/ingest/lane.ts', find: '      await appended.flushed\n', replace: '      void appended.flushed\n' }],
  },
  {
    name: 'commit before its incidents',
    edits: [
      {
        file: 'src/detect/task.ts',
        find: '    await this.#appendMade()\n    this.#measure(slice)\n',
        replace: '    this.#measure(slice)\n',
      },
      {
        file: 'src/detect/task.ts',
        find: '    if (this.#isDue()) this.#beginCheckpoint()\n',
        replace: '    if (this.#isDue()) this.#beginCheckpoint()\n    await this.#underWay\n    await this.#appendMade()\n',
      },
    ],
  },
  {
    name: 'page and header apart',
    edits: [
      {
        file: 'src/log/takeover.ts',
        find: '      await this.#options.store.transact(this.#withHeader(writes, cut))\n',
        replace:
          '      const all = [...this.#withHeader(writes, cut)]\n' +
          '      if (all.length > 1) await this.#options.store.transact(all.slice(0, -1))\n' +
          '      await this.#options.store.transact(all.slice(-1))\n',
      },
    ],
  },
  {
    name: 'restore before fence',
    edits: [
      { file: 'src/log/takeover.ts', find: '  await options.store.fence()\n', replace: '' },
      {
        file: 'src/log/takeover.ts',
        find: "      if (key === HEADER_KEY) header = decodeHeader(value)\n      else each(key, value)\n    })\n",
        replace: "      if (key === HEADER_KEY) header = decodeHeader(value)\n      else each(key, value)\n    })\n    await this.#options.store.fence()\n",
      },
    ],
  },
  {
    name: 'older epoch not dropped',
    edits: [{ file: 'src/respond/incident-reader.ts', find: "    if (record.stamp.epoch < mark.epoch) return this.drop('old-epoch')\n", replace: '' }],
  },
  {
    name: 'learn before gate',
    edits: [
      {
        file: 'src/detect/engine.ts',
        find: '      this.#fuse(round)\n      this.#gate(round)\n',
        replace: '      this.#fuse(round)\n      this.#weight.fill(1)\n      this.#deviceWeight.fill(1)\n      this.#learn(round)\n      this.#gate(round)\n',
      },
      { file: 'src/detect/engine.ts', find: '    if (!round.missing) this.#learn(round)\n', replace: '' },
    ],
  },
  {
    name: 'duplicate not dropped',
    edits: [
      {
        file: 'src/detect/presence.ts',
        find: '  for (let i = 0; i < IDENTITIES; i++) if (rows.float64[o + i] === identity) return true\n',
        replace: '  for (let i = 0; i < IDENTITIES; i++) if (rows.float64[o + i] === identity) return false\n',
      },
    ],
  },
  {
    name: 'outbox sent under a new id',
    edits: [
      {
        file: 'src/respond/effects.ts',
        find: '      return await notifier.notify(notificationOf(entry))\n',
        replace: '      return await notifier.notify({ ...notificationOf(entry), id: `${entry.id}-${entry.tries}` })\n',
      },
    ],
  },
]
