/**
 * The schemas of all commands as docs/PROTOCOL.md has them, read out of its
 * section "Commands": what the code accepts is held to what the document says.
 */

export type Type =
  | { readonly is: 'int'; readonly min: number; readonly max: number }
  | {
      readonly is: 'bytes' | 'exactly' | 'text' | 'alike';
      readonly max: number;
      readonly items?: string;
    }
  | { readonly is: 'list'; readonly max: number; readonly of: Type }
  | { readonly is: 'map'; readonly fields: readonly Field[] }
  | { readonly is: 'enum'; readonly values: readonly string[] }
  | { readonly is: 'boolean' };

export interface Field {
  readonly name: string;
  readonly optional: boolean;
  readonly type: Type;
}

const int = (min = 0, max = Number.MAX_SAFE_INTEGER): Type => ({ is: 'int', min, max });
const exactly = (max: number): Type => ({ is: 'exactly', max });
const BASIC: { readonly [name: string]: Type } = {
  ...{ user: exactly(32), channel: exactly(32), digest: exactly(32), epoch: exactly(32) },
  ...{ ulid: exactly(16), sig: exactly(64), boolean: { is: 'boolean' } },
};
const ALWAYS = 'timestamp int, nonce 8';

type Types = { readonly [name: string]: Type | readonly Field[] };

/** A reader of the notation of the tables, such as `to user?, kind roster|online, votes [{user, sig}; 128]`. */
class Notation {
  readonly #tokens: string[];
  readonly #types: Types;

  constructor(text: string, types: Types) {
    const plain = text.replaceAll('\\|', '|').replace(/(\d),(?=\d{3})/g, '$1');
    this.#tokens = plain.match(/[A-Za-z_]\w*|\d+|[[\]{}();?,|…]/g) ?? [];
    this.#types = types;
  }

  #next(): string {
    const token = this.#tokens.shift();
    if (token === undefined) throw new Error('the notation ends too early');
    return token;
  }

  #has(token: string): boolean {
    if (this.#tokens[0] !== token) return false;
    this.#tokens.shift();
    return true;
  }

  #number = (): number => Number(this.#next());

  fields(): Field[] {
    const fields: Field[] = [];
    while (this.#tokens.length > 0 && this.#tokens[0] !== '}') {
      fields.push(...this.#field());
      if (!this.#has(',')) break;
    }
    return fields;
  }

  #field(): readonly Field[] {
    const name = this.#next();
    const early = this.#has('?');
    const end = this.#tokens[0];
    const isAlone = end === undefined || end === ',' || end === '}';
    const known = this.#types[name];
    if (isAlone && Array.isArray(known)) return known;
    const type = isAlone ? this.#named(name) : this.type();
    return [{ name, type, optional: this.#has('?') || early }];
  }

  #named(name: string): Type {
    const type = this.#types[name];
    if (type === undefined || Array.isArray(type)) throw new Error(`no type is called ${name}`);
    return type as Type;
  }

  type(): Type {
    if (this.#has('[')) {
      const of = this.#next();
      if (of === 'record' || of === 'proof') return this.#alike(of);
      this.#tokens.unshift(of);
      const item = this.type();
      this.#expect(';');
      const max = this.#number();
      this.#expect(']');
      return { is: 'list', of: item, max };
    }
    if (this.#has('{')) {
      const fields = this.fields();
      this.#expect('}');
      return { is: 'map', fields };
    }
    if (this.#has('(')) {
      const type = this.type();
      this.#expect(')');
      return type;
    }
    const name = this.#next();
    if (/^\d+$/.test(name)) return exactly(Number(name));
    if (name === 'int') return this.#int();
    if (name === 'text' || name === 'bytes') return { is: name, max: this.#number() };
    if (this.#tokens[0] !== '|') return this.#named(name);
    const values = [name];
    while (this.#has('|')) values.push(this.#next());
    return { is: 'enum', values };
  }

  #alike(items: string): Type {
    this.#expect(';');
    const max = this.#number();
    this.#expect(']');
    return { is: 'alike', max, items };
  }

  #int(): Type {
    if (this.#has('from')) return int(this.#number());
    if (!/^\d+$/.test(this.#tokens[0] ?? '')) return int();
    const min = this.#number();
    this.#expect('…');
    return int(min, this.#number());
  }

  #expect(token: string): void {
    if (!this.#has(token)) throw new Error(`${token} is missing before ${this.#tokens.join(' ')}`);
  }
}

const between = (text: string, from: string, to: string): string => {
  const start = text.indexOf(from);
  const end = text.indexOf(to, start + from.length);
  if (start < 0 || end < 0)
    throw new Error(`docs/PROTOCOL.md has no part from "${from}" to "${to}"`);
  return text.slice(start, end);
};

/** By name of the command. Throws where the document is not in the notation. */
export function documentedSchemas(protocol: string): { [command: string]: Type } {
  const section = between(protocol, '## 13. Commands', '\n## 14.').replaceAll('\n', '\n ');
  const types: { [name: string]: Type | readonly Field[] } = { ...BASIC };
  const words = between(section, 'Types:', 'Every payload').replace(/\s+/g, ' ');
  for (const [, name, notation] of words.matchAll(/`(\w+)` is `([^`]+)`/g)) {
    if (name !== 'entries') types[name!] = new Notation(notation!, types).type();
  }
  const [, entries] = /`entries` is `([^`]+)`/.exec(words) ?? [];
  types.entries = new Notation(entries ?? '', types).fields();

  const schemas: { [command: string]: Type } = {};
  const tables = section.slice(section.indexOf('**The link.**'));
  const members = tables.indexOf('**Channels, between members.**');
  for (const row of tables.matchAll(/^ \| (`[A-Z].*)$/gm)) {
    const cells = row[1]!.split(/(?<!\\)\|/).map((cell) => cell.trim());
    const isMember = row.index > members;
    const notation = (isMember ? cells[1]! : cells[3]!)
      .replace(', and one of ', ', ')
      .replaceAll('`', '');
    const always = isMember ? `${ALWAYS}, id channel, from user` : ALWAYS;
    const fields = new Notation(
      notation === '' ? always : `${always}, ${notation}`,
      types,
    ).fields();
    for (const [, name] of cells[0]!.matchAll(/`(\w+)`/g)) {
      // CH_VOTE stands twice: as what CH_LEAD becomes, and as a ballot.
      const other = schemas[name!];
      schemas[name!] = {
        is: 'map',
        fields: other?.is === 'map' ? merged(other.fields, fields) : fields,
      };
    }
  }
  return schemas;
}

/** What two commands of one name have in common must be there, the rest may. */
function merged(a: readonly Field[], b: readonly Field[]): Field[] {
  const has = (fields: readonly Field[], { name }: Field) => fields.some((f) => f.name === name);
  return [
    ...a.map((field) => ({ ...field, optional: field.optional || !has(b, field) })),
    ...b.filter((field) => !has(a, field)).map((field) => ({ ...field, optional: true })),
  ];
}
