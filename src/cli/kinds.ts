/** Records by which members agree who leads, and under which key they write: left out for people, unless they ask for every entry. */
const LEADING = new Set<unknown>(['epoch', 'vote', 'keys']);

export const isLeading = (kind: unknown): boolean => LEADING.has(kind);
