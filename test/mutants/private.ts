/** Mutants of private messages. */

import type { Mutant } from './mutant.js';

const FILE = 'src/node/private-messages.ts';

export const PRIVATE: readonly Mutant[] = [
  {
    name: 'receive-again',
    invariant: 15,
    what: 'a private message that comes again is kept again',
    run: 'private',
    edits: [
      {
        file: FILE,
        find: 'this.#opsFor(messages.filter((_, i) => !known[i]));',
        replace: 'this.#opsFor(messages.filter((_, i) => known[i] !== null));',
      },
    ],
  },
  {
    name: 'receipt-of-another',
    invariant: 15,
    what: 'any receipt of its receiver counts for the message that was sent last',
    run: 'private',
    edits: [
      {
        file: FILE,
        find: 'if (!queue || first?.id !== msg_id) return;',
        replace: 'if (!queue || !first || !msg_id) return;',
      },
    ],
  },
  {
    name: 'receipt-before-durable',
    invariant: 15,
    what: 'a receipt leaves before the message is on disk',
    run: 'private',
    edits: [
      {
        file: FILE,
        find: 'if (ops.length > 0) await this.#node.store.write(ops, { sync: true });',
        replace: 'if (ops.length > 0) await this.#node.store.write(ops, { sync: false });',
      },
    ],
  },
];
