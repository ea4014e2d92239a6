/** Mutants of private messages. */

import type { Mutant } from './mutant.js';

const INBOX = 'src/node/private-inbox.ts';
const OUTBOX = 'src/node/private-outbox.ts';
const ORDER = 'src/node/private-order.ts';

const mutant = (
  name: string,
  what: string,
  file: string,
  find: string,
  replace: string,
): Mutant => ({ name, invariant: 15, what, run: 'private', edits: [{ file, find, replace }] });

export const PRIVATE: readonly Mutant[] = [
  mutant(
    'receive-again',
    'a private message that comes again is kept again',
    ORDER,
    "if (here.itself) return 'copy';",
    "if (here.itself && here.itself.count < 0) return 'copy';",
  ),
  mutant(
    'receive-out-of-order',
    'a private message is kept though the one before it is not here',
    ORDER,
    "if (!here.prev) return 'gap';",
    "if (!here.prev) return 'next';",
  ),
  mutant(
    'receive-gap-is-receipt',
    'a private message that can not be kept yet is acknowledged',
    INBOX,
    "const have = standing === 'gap' ?",
    "const have = standing === 'wrong' ?",
  ),
  mutant(
    'receipt-of-another',
    'any receipt of its receiver counts for the message that was sent last',
    OUTBOX,
    'if (!crypto.ed25519Verify(unhex(from), said, sig)) return;',
    'if (!crypto.ed25519Verify(unhex(from), said, sig) && sig.length === 0) return;',
  ),
  mutant(
    'receipt-before-durable',
    'a receipt leaves before the message is on disk',
    INBOX,
    'if (ops.length > 0) await this.#node.store.write(ops, { sync: true });',
    'if (ops.length > 0) await this.#node.store.write(ops, { sync: false });',
  ),
  mutant(
    'receive-unsigned',
    'a private message counts whoever signed it',
    INBOX,
    'if (!isFor || !crypto.ed25519Verify(unhex(from), bytes, sig)) {',
    'if (!isFor && !crypto.ed25519Verify(unhex(from), bytes, sig)) {',
  ),
  mutant(
    'never-go-back',
    'a receiver that came back from an old copy is never sent what it lost',
    OUTBOX,
    'if (!next || next.n >= pending.n || firstOf(line) !== pending) return;',
    'if (!next || next.n < pending.n || firstOf(line) !== pending) return;',
  ),
  mutant(
    'post-before-durable',
    'a private message leaves before it is on disk',
    OUTBOX,
    'await this.#node.store.write(logged.flatMap(sentOps), { sync: true });',
    'await this.#node.store.write(logged.flatMap(sentOps), { sync: false });',
  ),
  mutant(
    'post-behind-nothing',
    'a private message does not stand behind the one before it in the same boot',
    OUTBOX,
    'const prev = last?.digest ?? ZERO_DIGEST;',
    'const prev = last && last.boot !== boot ? last.digest : ZERO_DIGEST;',
  ),
];
