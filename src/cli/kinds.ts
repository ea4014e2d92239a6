/** Records by which members agree who leads: left out for people, unless they ask for every entry. */
const LEADING = new Set<unknown>(['epoch', 'vote']);

export const isLeading = (kind: unknown): boolean => LEADING.has(kind);
