/**
 * What goes wrong in a run, and when: plain data, drawn from the seed. Every
 * seed draws its own few kinds of faults and their intensity, and each fault
 * has a stream of draws of its own, so that one can be left out and all others
 * stay (docs/ARCHITECTURE.md, "Simulator").
 */

import type { Millis } from '../core/ids.js';
import type { Misdeed } from './misdeeds.js';
import type { Pairs } from './partitions.js';
import type { Lies } from './sim-liar.js';
import type { Direction } from './sim-network.js';
import type { Weather } from './weather.js';

/** A node by its index, or whoever leads when the fault begins. */
export type Victim = number | 'leader';

export type Lasting = { readonly at: Millis; readonly until: Millis };

type OfNode<K extends string> = { readonly kind: K; readonly node: Victim };
type OfLink<K extends string> = OfNode<K> & { readonly relay: number };

/** The kind that it was drawn from, where that has another name. */
type Drawn = { readonly drawnFrom?: FaultKind };

/** One that `stays`, or is `gone`, is not over when the others are: the run must come to rest under it. */
export type Fault = Lasting &
  Drawn &
  /** Power is lost: now, or in the middle of the next write. */
  (
    | (OfNode<'crash'> & { readonly inWrite: boolean })
    /** It does nothing for a while, then goes on as if nothing was. */
    | OfNode<'pause'>
    /** All its work takes longer by up to `ms`. */
    | (OfNode<'slow'> & { readonly ms: Millis })
    /** Its wall clock is off by so much more for a while. */
    | (OfNode<'clock'> & { readonly ms: Millis })
    /** The next write fails, which ends the node until the fault does. */
    | OfNode<'disk-full' | 'disk-sync'>
    | (OfNode<'slow-disk'> & { readonly ms: Millis })
    /** A stored value, `place` in [0, 1) of the way through them, reads as damaged. */
    | (OfNode<'damage'> & { readonly place: number })
    /** Off at `at`, back at `until` with its disk as at `copiedAt`, or with an empty one. */
    | {
        readonly kind: 'old-disk';
        readonly nodes: readonly number[];
        readonly copiedAt: Millis | null;
      }
    /** A link loses what goes this way; a reset is noticed by both ends. */
    | (OfLink<'cut'> & { readonly directions: readonly Direction[]; readonly reset: boolean })
    /** Nothing arrives for a while, and then all at once. */
    | (OfLink<'clog'> & { readonly directions: readonly Direction[] })
    /** So many bytes a millisecond get through. */
    | (OfLink<'narrow'> & { readonly bytesPerMs: number })
    /** One end of the connection is gone, the other believes in it. */
    | (OfLink<'half-open'> & { readonly gone: 'node' | 'relay' })
    /** The relay accepts the connection and nothing more. */
    | OfLink<'dead'>
    | OfLink<'reset'>
    /** A node loses all its links. */
    | (OfNode<'isolate'> & { readonly directions: readonly Direction[] })
    /** No relay forwards from the first to the second of each pair. */
    | { readonly kind: 'block'; readonly pairs: Pairs; readonly stays?: true }
    /** The nodes of side `i` reach relay `i` alone, those of no side all. */
    | {
        readonly kind: 'relay-split';
        readonly sides: readonly (readonly number[])[];
        readonly reset: boolean;
        readonly stays?: true;
      }
    | { readonly kind: 'relay-restart'; readonly relay: number }
    /** The relay forgets its channels, not its connections, and then is replaced. */
    | { readonly kind: 'relay-forgets'; readonly relay: number }
    | {
        readonly kind: 'lying-relay';
        readonly relay: number;
        readonly lies: Lies;
        /** It becomes honest by being replaced. */
        readonly restarts: boolean;
      }
    /** A member does as it likes, once all have joined. */
    | {
        readonly kind: 'misbehaves';
        readonly node: number;
        readonly misdeeds: readonly Misdeed[];
        readonly stays?: true;
      }
    /** It loses power once all have joined, and never comes back, nor does its disk. */
    | { readonly kind: 'gone'; readonly node: number }
    /** Of all links, or of one node's. */
    | { readonly kind: 'weather'; readonly weather: Weather; readonly node?: Victim }
  );

/** Kinds from which every seed draws its few. */
export const FAULT_KINDS = [
  'crash',
  'pause',
  'slow',
  'clock',
  'disk',
  'damage',
  'link',
  'half-open',
  'partition',
  /** Even ones, long enough for both sides to go on. */
  'halves',
  'relay-split',
  'relay',
  'lying-relay',
  'weather',
  'flap',
  /** One partition right after the other, so that another majority goes on each time. */
  'shift',
  /** One node right after the other is down. */
  'rolling',
  /** Members come back with older copies of their disks. */
  'old-disk',
  /** Members come back with empty disks. */
  'lost-disk',
] as const;

/** Kinds of members that misbehave (docs/simulation.md, "Members that misbehave"). */
export const MEMBER_KINDS = [
  /** Keeps silent, wholly or in part, or censors. */
  'silent-member',
  /** Says what proves nothing. */
  'lying-member',
  /** Signs what contradicts itself. */
  'two-faced-member',
] as const;

/** Networks in which not everyone reaches everyone, even when all faults are over. */
export const TOPOLOGY_KINDS = ['topology'] as const;

/** Under which less is promised of who is a member. */
export const LASTING_KINDS: ReadonlySet<string> = new Set([...MEMBER_KINDS, ...TOPOLOGY_KINDS]);
export const isLasting = (fault: Fault): boolean => fault.kind === 'misbehaves' || 'stays' in fault;

/** Members that are lost for good (docs/simulation.md, "Members that are gone"). */
export const GONE_KINDS = ['gone'] as const;

/** Kinds that few seeds draw beside the others, and no run of an application. */
export const RARE_KINDS = [...MEMBER_KINDS, ...TOPOLOGY_KINDS, ...GONE_KINDS] as const;

export type FaultKind =
  | (typeof FAULT_KINDS)[number]
  | (typeof MEMBER_KINDS)[number]
  | (typeof TOPOLOGY_KINDS)[number]
  | (typeof GONE_KINDS)[number];
