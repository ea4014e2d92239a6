/**
 * Sabotages of what reads bytes, and the targets that must notice each: so a
 * target that finds nothing is known to be able to find something. Texts are
 * replaced while the product is bundled (test/mutants).
 */

import type { Edit } from '../mutants/mutant.js';
import { MEMBERSHIP } from './shapes.js';

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

const BODIES = Object.keys(MEMBERSHIP).map((kind) => `${kind}-body`);

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
      ...['conviction', 'portable-proof', 'keys-body', 'private-statement', 'private-receipt'],
      ...['private-place', 'key-log', 'recovery-key', 'replace-request'],
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
    targets: ['statement', 'stored-genesis', 'invite', 'page', 'sealed-name'],
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
      edit('node/private-log.ts', 'if (flags > 3) throw', 'if (false) throw'),
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
    name: 'any-role',
    what: 'an unknown role is one that is known',
    edits: [
      edit(
        'core/membership-body.ts',
        'const role = GIVEN_ROLES[code];',
        'const role = GIVEN_ROLES[code % 2];',
      ),
    ],
    targets: ['role-body'],
  },
  {
    name: 'the-removed-come-back',
    what: 'who was removed joins with any invitation',
    edits: [
      edit(
        'core/roster.ts',
        'if (roster.departed.get(request.user)?.isRemoved && !invite?.invitee) {',
        'if (false) {',
      ),
    ],
    targets: ['membership'],
  },
  {
    name: 'readers-as-archives',
    what: 'who reads joins with an invitation for an archive',
    edits: [
      edit('core/roster.ts', 'if (invite.isArchive !== isArchive(request)) {', 'if (false) {'),
    ],
    targets: ['membership'],
  },
  {
    name: 'archives-manage',
    what: 'an archive becomes an admin',
    edits: [edit('core/roster.ts', "if (role !== 'member' && isArchive(member)) ", 'if (false) ')],
    targets: ['membership'],
  },
  {
    name: 'readers-replace-archives',
    what: "a key that reads takes an archive's place",
    edits: [edit('core/roster.ts', 'if (isArchive(request) !== isArchive(old)) {', 'if (false) {')],
    targets: ['membership'],
  },
  {
    name: 'any-recovery-key',
    what: "a member's key is replaced by any recovery key",
    edits: [edit('core/roster.ts', 'if (by !== old.recovery) refuse(', 'if (false) refuse(')],
    targets: ['membership'],
  },
  {
    name: 'kept-invitations',
    what: 'the invitations of who departed stay open',
    edits: [
      edit(
        'core/roster.ts',
        'return { members, departed, invites: invitesWithout(roster, user, isRemoved ? cameBy : []) };',
        'return { members, departed };',
      ),
    ],
    targets: ['membership'],
  },
  {
    name: 'used-invitations',
    what: 'the invitation that a removed member came by stays open',
    edits: [
      edit('core/roster.ts', 'invitee !== user && !used.includes(key),', 'invitee !== user,'),
    ],
    targets: ['membership'],
  },
  {
    name: 'votes-at-once',
    what: 'a new key votes as soon as it has the place of the old one',
    edits: [
      edit(
        'core/roster.ts',
        'sealing, votes: false, since }',
        'sealing, votes: old.votes, since }',
      ),
    ],
    targets: ['membership'],
  },
  {
    name: 'unsigned-proofs',
    what: 'a portable proof holds whatever its signatures',
    edits: [edit('core/check-proof.ts', 'if (!isValid(one)) bad(', 'if (false) bad(')],
    targets: ['proof-of-final', 'proof-of-misbehaviour'],
  },
  {
    name: 'nothing-contradicts',
    what: 'two records of an author convict it, whatever their counters',
    edits: [
      edit(
        'core/misbehaviour.ts',
        'if (one.boot !== other.boot || one.n !== other.n) bad(',
        'if (false) bad(',
      ),
    ],
    targets: ['proof-of-misbehaviour'],
  },
  {
    name: 'sides-in-any-order',
    what: 'a proof of misbehaviour has two encodings',
    edits: [
      edit('core/misbehaviour.ts', 'if (compare(one!, other!) >= 0) bad(', 'if (false) bad('),
    ],
    targets: ['portable-proof', 'proof-of-misbehaviour'],
  },
  {
    name: 'any-key-id',
    what: 'what is encrypted opens whichever key it names',
    edits: [
      edit(
        'node/channel-cipher.ts',
        'bytesEqual(sealed.subarray(0, KEY_ID_BYTES), idBytes);',
        'idBytes.length > 0 && sealed.length > 0;',
      ),
    ],
    targets: ['sealed-body', 'sealed-name'],
  },
  {
    name: 'any-disclosure',
    what: 'a proof may show a text by a key that the message does not commit to',
    edits: [
      edit('core/message-key.ts', 'if (!isCommittedTo(hash, body, key)) return undefined;', ''),
    ],
    targets: ['proof-of-final'],
  },
  {
    name: 'any-message-key',
    what: 'a body opens though it does not commit to the key of its message',
    edits: [
      edit(
        'node/channel-cipher.ts',
        'isCommittedTo(key.hash, body, messageKey) ? messageKey : undefined',
        'messageKey',
      ),
    ],
    targets: ['sealed-body'],
  },
  {
    name: 'any-commitment',
    what: 'a keys record may give another key than it commits to',
    edits: [
      edit(
        'node/keys-record.ts',
        'return bytesEqual(key.commitment, keys.commitment) ? key : undefined;',
        'return key;',
      ),
    ],
    targets: ['keys-record'],
  },
  {
    name: 'any-padding',
    what: 'a private message may be padded with anything',
    edits: [
      edit(
        'core/private-statements.ts',
        '!isExact || plain.subarray(length).some((byte) => byte !== 0)',
        '!isExact',
      ),
    ],
    targets: ['private-plain'],
  },
  {
    name: 'unsigned-sealing-key',
    what: 'anybody may show a sealing key for a user',
    edits: [
      edit(
        'core/sealing-key.ts',
        'if (crypto.ed25519Verify(id, statement(user, key), shown.subarray(KEY_BYTES))) return key;',
        'return crypto && id && statement(user, key) && key;',
      ),
    ],
    targets: ['sealing-key'],
  },
  {
    name: 'noted-is-known',
    what: 'what is noted as a keys record is taken for one',
    edits: [
      edit(
        'node/key-log.ts',
        'return record?.kind === KEYS_KIND ? record : undefined;',
        'return record;',
      ),
    ],
    targets: ['key-log'],
  },
  {
    name: 'unsigned-request',
    what: 'a request for the place of another key need not be signed',
    edits: [edit('node/recovery.ts', 'if (!isSigned) throw', 'if (false) throw')],
    targets: ['replace-request'],
  },
  {
    name: 'any-armour',
    what: 'a proof may be written in many ways',
    edits: [
      edit('node/proof-file.ts', 'if (armour(bytes) === ', 'if (bytes || armour(bytes) === '),
    ],
    targets: ['proof-file'],
  },
  {
    name: 'any-port',
    what: 'a port may be 0',
    edits: [edit('core/relay-url.ts', 'port < 1 || ', '')],
    targets: ['relay-url'],
  },
  {
    name: 'any-checksum',
    what: 'the checksum of an invitation, or another such text, is not compared',
    edits: [edit('node/checked-text.ts', "throw new Error('wrong checksum');", '')],
    targets: ['invite', 'recovery-key', 'replace-request'],
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
