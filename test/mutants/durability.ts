/** Mutants of what must be on disk first, and of what must stay there. */

import type { Mutant } from './mutant.js';
import { apart, deposing } from './plans.js';

const REPLICA = 'src/core/replica.ts';

export const DURABILITY: readonly Mutant[] = [
  {
    name: 'ack-before-durable',
    invariant: 7,
    what: 'an acknowledgement leaves before the entry is on disk',
    edits: [
      {
        file: 'src/core/follower.ts',
        find: 'else sendToUser(ctx, ctx.ready.late, lead.epoch.leader, command(lead.epoch.leader));',
        replace:
          'else sendToUser(ctx, ctx.ready.early, lead.epoch.leader, command(lead.epoch.leader));',
      },
    ],
  },
  {
    name: 'vote-before-durable',
    invariant: 7,
    what: 'a ballot leaves before the promise is on disk',
    edits: [
      {
        file: 'src/core/voting.ts',
        find: '  sendToUser(ctx, ctx.ready.late, candidate, () => ({',
        replace: '  sendToUser(ctx, ctx.ready.early, candidate, () => ({',
      },
    ],
  },
  {
    name: 'follow-without-promise',
    invariant: 7,
    what: 'who follows a leader of a later term does not promise that term',
    edits: [
      {
        file: 'src/core/follower.ts',
        find: '  if (epoch.term > st.hard[epoch.kind].term) {',
        replace: '  if (epoch.term < 0) {',
      },
    ],
  },
  {
    name: 'never-sync',
    invariant: 7,
    what: 'batches are written and not synced',
    edits: [
      {
        file: 'src/core/pump.ts',
        find: 'this.#ports.write(ready.batch(), ready.sync, (error) => {',
        replace: 'this.#ports.write(ready.batch(), false, (error) => {',
      },
    ],
  },
  {
    name: 'offer-before-durable',
    invariant: 7,
    what: 'own messages leave before the outbox is on disk',
    edits: [
      {
        file: 'src/core/offers.ts',
        find: 'sendOffers(ctx, st, ctx.ready.late, batch,',
        replace: 'sendOffers(ctx, st, ctx.ready.early, batch,',
      },
    ],
  },
  {
    name: 'outbox-in-memory',
    invariant: 7,
    what: 'own messages are not written to the outbox',
    edits: [
      {
        file: 'src/core/offers.ts',
        find: '    ctx.ready.ops.push({ key: st.keys.out(count), value: () => encodeOffer(pooled) });\n',
        replace: '',
      },
    ],
  },
  {
    name: 'report-before-durable',
    invariant: 7,
    what: 'an application hears of what the disk has not taken yet',
    edits: [
      {
        file: 'src/core/pump.ts',
        find: '    this.#sendAll(ready.early);\n',
        replace:
          '    this.#sendAll(ready.early);\n    for (const event of ready.events.splice(0)) this.#ports.event(event);\n',
      },
    ],
  },
  {
    name: 'witness-acknowledges',
    invariant: 7,
    what: 'who is asked to confirm a place acknowledges it, whether or not it did before',
    edits: [
      {
        file: 'src/core/confirm.ts',
        find: '  const message = branch.headerAt(seq)!.digest;',
        replace: '  const message = branch.hashAt(seq)!;',
      },
      {
        file: 'src/core/confirm.ts',
        find: '  if (!own || !p.users.includes(ctx.self)) return;\n  const { signed } = own;\n',
        replace: `  const asked = st.epochs.get(p.epoch)?.epoch;
  if (!own || !asked || !p.users.includes(ctx.self)) return;
  const { epoch, seq, message: hash } = p;
  const signed =
    own.ack.seq < seq
      ? ctx.ready.signed(ctx.self, encodeStatement({ tag: 'ack', ...asked, epoch, seq, hash }))
      : own.signed;
`,
      },
      {
        file: 'src/core/confirm.ts',
        find: "import type { Ack } from './statements.js';",
        replace: "import { type Ack, encodeStatement } from './statements.js';",
      },
    ],
    options: apart,
  },
  {
    name: 'drop-displaced',
    invariant: 8,
    what: 'messages that fall out of the log are forgotten',
    edits: [
      {
        file: REPLICA,
        find: '    st.pool.add(pooled, true);\n    keepApart(ctx, st, pooled);\n',
        replace: '    void pooled;\n',
      },
    ],
    options: deposing,
  },
  {
    name: 'displaced-in-memory',
    invariant: 8,
    what: 'messages that fall out of the log are kept in memory alone',
    edits: [
      {
        file: REPLICA,
        find: '    keepApart(ctx, st, pooled);\n',
        replace: '',
      },
    ],
    options: deposing,
  },
];
