/** What is wrong with a node's directory or its store, and what can be done about it. */

export interface Finding {
  /** Stable: what class of damage it is. */
  readonly code: string;
  /** The file, or the key in the store. */
  readonly where: string;
  /** What is wrong, and, where it can't be repaired, what to do. */
  readonly what: string;
  readonly repair: 'possible' | 'no' | 'done';
}
