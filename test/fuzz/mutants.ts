/**
 * Sabotages of what reads bytes, and the targets that must notice each: so a
 * target that finds nothing is known to be able to find something. Texts are
 * replaced while the product is bundled (test/mutants).
 */

import type { Edit } from '../mutants/mutant.js';

export interface ReaderMutant {
  readonly name: string;
  readonly what: string;
  readonly edits: readonly Edit[];
  /** Each must find it. */
  readonly targets: readonly string[];
}

const edit = (file: string, find: string, replace: string): Edit => ({
  file: `src/${file}`,
  find,
  replace,
});

const BODIES = ['invite-body', 'revoke-body', 'join-body', 'vote-body', 'relays-body'];

export const READER_MUTANTS: readonly ReaderMutant[] = [
  {
    name: 'bytes-left-over',
    what: 'bytes behind the end of a canonical value are not noticed',
    edits: [edit('core/bytes.ts', 'if (this.#at !== this.#bytes.length) {', 'if (false) {')],
    targets: [
      ...[
        'header',
        'record',
        'proof',
        'certificate',
        'step',
        'epoch-body',
        'election',
        'merge-body',
      ],
      ...[
        'genesis',
        'statement',
        'entry',
        'raw-entry',
        'offer',
        'run',
        'hard-state',
        'point',
        'final',
      ],
      ...['stored-genesis', 'proposal', 'boots', 'page', 'private-message', 'invite', ...BODIES],
    ],
  },
  {
    name: 'large-integer',
    what: 'integers over 2^53−1 are taken',
    edits: [edit('core/bytes.ts', 'if (high > 0x1f_ffff) {', 'if (false) {')],
    targets: ['header', 'statement', 'certificate', 'hard-state', 'point', 'boots', 'invite-body'],
  },
  {
    name: 'long-bytes',
    what: 'the limit of a byte string is not looked at',
    edits: [
      edit(
        'core/bytes.ts',
        'const length = this.u32();\n    if (length > max) {',
        'const length = this.u32();\n    if (false) {',
      ),
    ],
    targets: [
      'record',
      'statement',
      'stored-genesis',
      'genesis',
      'invite',
      'join-body',
      'relays-body',
    ],
  },
  {
    name: 'long-list',
    what: 'the limit of a list is not looked at',
    edits: [edit('core/bytes.ts', 'if (count > max) {', 'if (false) {')],
    targets: ['proof', 'certificate', 'epoch-body', 'boots', 'relays-body'],
  },
  {
    name: 'bad-utf8',
    what: 'text that is not UTF-8 is taken',
    edits: [
      edit(
        'core/bytes.ts',
        "'utf-8', { fatal: true, ignoreBOM: true }",
        "'utf-8', { ignoreBOM: true }",
      ),
    ],
    targets: ['statement', 'stored-genesis', 'invite', 'private-message', 'page'],
  },
  {
    name: 'lost-mark',
    what: 'a byte order mark vanishes from canonical texts',
    edits: [edit('core/bytes.ts', '{ fatal: true, ignoreBOM: true }', '{ fatal: true }')],
    targets: ['statement', 'stored-genesis'],
  },
  {
    name: 'any-flag',
    what: 'a flag of 2 counts as true',
    edits: [
      edit('core/layout.ts', 'if (voted > 1) throw', 'if (false) throw'),
      edit('core/statements.ts', 'if (flag > 1) throw', 'if (false) throw'),
      edit('core/store-boots.ts', 'if (flag > 1) throw', 'if (false) throw'),
      edit('node/private-log.ts', 'if (byte <= 1) return', 'if (true) return'),
    ],
    targets: ['hard-state', 'statement', 'proposal', 'boots', 'private-message'],
  },
  {
    name: 'any-kind',
    what: 'unknown kinds of epochs and certificates are taken',
    edits: [
      edit('core/epoch-record.ts', 'if (kind > 1) throw', 'if (false) throw'),
      edit('core/merge-record.ts', 'if (kind > 1) throw', 'if (false) throw'),
      edit('core/certificate.ts', 'if (kind > 2) throw', 'if (false) throw'),
    ],
    targets: ['epoch-body', 'election', 'merge-body', 'certificate'],
  },
  {
    name: 'any-name-of-kind',
    what: "a record's kind may be any text",
    edits: [edit('core/record.ts', 'if (!KIND.test(kind)) throw', 'if (false) throw')],
    targets: ['record', 'entry', 'offer'],
  },
  {
    name: 'any-relays',
    what: 'a genesis may name any relays',
    edits: [edit('core/genesis.ts', '    checkRelays(relays);\n', '')],
    targets: ['genesis'],
  },
  {
    name: 'leading-zero',
    what: "a frame's length may begin with 0",
    edits: [edit('core/frame.ts', ' && !(byte === ZERO && this.#count === 0)', '')],
    targets: ['frame'],
  },
  {
    name: 'promised-memory',
    what: 'a parser allocates what a frame promises, not what came of it',
    edits: [
      edit(
        'core/frame.ts',
        'Math.max(count, 2 * this.#payload.length, PAYLOAD_PIECE_BYTES)',
        'this.#length',
      ),
    ],
    targets: ['frame'],
  },
  {
    name: 'forgetful-parser',
    what: 'a signature that comes in two chunks loses a digit',
    edits: [
      edit(
        'core/frame.ts',
        'const i = this.#count++ >> 1;',
        'const i = this.#count++ >> 1;\n      if (this.#at === this.#chunk.length && this.#count === 8) this.#sig[i] = 0;',
      ),
    ],
    targets: ['frame'],
  },
  {
    name: 'bottomless',
    what: 'lists may be nested without a bound',
    edits: [
      edit(
        'core/msgpack.ts',
        '#list(count: number, depth: number): void {\n    if (depth > PAYLOAD_DEPTH_MAX)',
        '#list(count: number, depth: number): void {\n    if (false)',
      ),
    ],
    targets: ['payload', 'command'],
  },
  {
    name: 'key-twice',
    what: 'a key may come twice in one map',
    edits: [
      edit(
        'core/msgpack.ts',
        "for (const other of keys) if (bytesEqual(key, other)) refuse('has a key twice in one map');\n",
        '\n',
      ),
    ],
    targets: ['payload', 'command'],
  },
  {
    name: 'mark-of-a-long-text',
    what: 'a byte order mark vanishes from texts of more than 64 bytes in payloads',
    edits: [edit('core/msgpack.ts', 'if (bytes <= MARK_KEPT_BYTES_MAX ||', 'if (true ||')],
    targets: ['command'],
  },
  {
    name: 'letters-for-bytes',
    what: "a text's limit counts letters",
    edits: [
      edit(
        'core/schema.ts',
        'if (new TextEncoder().encode(value).length <= maxBytes) return value;',
        'return value;',
      ),
    ],
    targets: ['command'],
  },
  {
    name: 'shares-more-than-there-is',
    what: 'an item may share more with the one before than that has',
    edits: [edit('core/alike.ts', ' || first + last > before) bad();', ') bad();')],
    targets: ['command'],
  },
  {
    name: 'unknown-is-fatal',
    what: 'a command that is unknown ends the link at the relay',
    edits: [
      edit(
        'core/relay-link.ts',
        "if (!isCommandName(name)) return { type: 'refused', name, error: unknown(name) };",
        'if (!isCommandName(name)) throw unknown(name);',
      ),
    ],
    targets: ['link-relay'],
  },
  {
    name: 'rubbish-is-fatal',
    what: "a member's rubbish ends the links of others",
    edits: [
      edit(
        'core/client-link.ts',
        "return { type: 'refused', name, error: frameError(cause) };",
        'throw cause;',
      ),
    ],
    targets: ['link-client'],
  },
  {
    name: 'proofs-missing',
    what: 'fewer proofs than records are not noticed',
    edits: [
      edit(
        'core/inspect.ts',
        "if (records.length !== proofs.length) mismatch('number of proofs');",
        '',
      ),
    ],
    targets: ['inspect'],
  },
  {
    name: 'half-a-path',
    what: 'a known batch proves a record whatever the rest of its path',
    edits: [edit('core/merkle.ts', ' && this.#agrees(steps, path, depth))', ')')],
    targets: ['batch'],
  },
  {
    name: 'any-signature-of-a-batch',
    what: "a batch's signature stands for another signature",
    edits: [
      edit(
        'core/record.ts',
        '  a.rosterHash === b.rosterHash &&\n  bytesEqual(a.sig, b.sig);',
        '  a.rosterHash === b.rosterHash;',
      ),
    ],
    targets: ['batch'],
  },
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: it is text of the sources.
  {
    name: 'counted-twice',
    what: 'a voter counts twice in a final certificate',
    edits: [
      edit(
        'core/certificate.ts',
        'if (!votes.has(ack.user)) return `${ack.user} has no vote`;\n    if (counted.has(ack.user)) return `${ack.user} is counted twice`;\n    counted.add(ack.user);\n  }\n  if (!isMajority(counted.size',
        'if (!votes.has(ack.user)) return `${ack.user} has no vote`;\n    counted.add(ack.user);\n  }\n  if (!isMajority(c.acks.length',
      ),
    ],
    targets: ['certificate-check'],
  },
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: it is text of the sources.
  {
    name: 'anyone-elects',
    what: 'ballots of those who have no vote are let pass',
    edits: [edit('core/epoch-record.ts', '[...cast].every((user) => counted.has(user)) && ', '')],
    targets: ['election-check'],
  },
  {
    name: 'no-end-of-invitations',
    what: 'an invitation is good after it ended',
    edits: [
      edit('core/roster.ts', 'if (invite.expires !== 0 && time > invite.expires)', 'if (false)'),
    ],
    targets: ['membership'],
  },
  {
    name: 'unsigned-steps',
    what: "a relay takes a step without its members' signatures",
    edits: [edit('relay/roster-chain.ts', '  verifyAll(crypto, checked.signatures);\n', '')],
    targets: ['steps'],
  },
  {
    name: 'any-port',
    what: 'a port may be 0',
    edits: [edit('core/relay-url.ts', 'port < 1 || ', '')],
    targets: ['relay-url'],
  },
  {
    name: 'any-checksum',
    what: "an invitation's checksum is not compared",
    edits: [edit('node/invite.ts', "throw new Error('wrong checksum');", '')],
    targets: ['invite'],
  },
  {
    name: "another's-seed",
    what: "an identity's seed may be another user's",
    edits: [
      edit('cli/identity-file.ts', 'return userOf(bytes) === user ? ', 'return user.length > 0 ? '),
    ],
    targets: ['identity'],
  },
  {
    name: 'costly-passphrase',
    what: 'a file may ask for any cost of scrypt',
    edits: [
      edit(
        'cli/sealing.ts',
        'if (!isWithin(N, COST_N_MIN, COST_N_MAX) || ',
        'if (typeof N !== "number" || ',
      ),
    ],
    targets: ['identity'],
  },
  {
    name: 'keys-in-any-order',
    what: "a backup's keys may come twice",
    edits: [
      edit(
        'node/snapshot.ts',
        'if (compareKeys(last, key) >= 0) {',
        'if (compareKeys(last, key) > 0) {',
      ),
    ],
    targets: ['page'],
  },
  {
    name: 'any-number-of-pages',
    what: 'a backup may lack pages',
    edits: [edit('cli/backup-file.ts', 'content.toString() !== String(pages)', 'false')],
    targets: ['backup'],
  },
  {
    name: 'short-lines',
    what: 'a line of exactly the limit is refused',
    edits: [
      edit(
        'cli/lines.ts',
        'if (this.#bytes > this.#bytesMax) {',
        'if (this.#bytes >= this.#bytesMax) {',
      ),
    ],
    targets: ['control-lines'],
  },
  {
    name: 'inherited-handlers',
    what: 'the node takes what every object has for a handler',
    edits: [
      edit(
        'cli/control-server.ts',
        'Object.hasOwn(handlers, name) ? handlers[name]! : unknownCall(name)',
        '(handlers[name] ?? unknownCall(name)) as Handler',
      ),
    ],
    targets: ['control-server'],
  },
  {
    name: 'error-without-text',
    what: "a command takes whatever stands for an error's code",
    edits: [
      edit(
        'cli/control-wire.ts',
        "typeof code === 'string' ? code : 'internal'",
        "String(code ?? 'internal')",
      ),
    ],
    targets: ['control-client'],
  },
];
