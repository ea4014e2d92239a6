/**
 * `simulate` for the authors of applications (docs/testing.md): their own code
 * on simulated nodes, in virtual time, under the faults of a seed, and their
 * own checks of it.
 */

import type { Millis, UserId } from '../core/ids.js';
import type { Channel } from '../node/api.js';
import { AppHost } from './app-host.js';
import { checkAppOptions } from './check-options.js';
import {
  type SimulateOptions,
  type SimulateResult,
  simulate as simulateNodes,
} from './simulate.js';

/** Time as an application may use it; a real node's is `Date.now` and `setTimeout`. */
export interface AppClock {
  /** ms since 1970 by the node's own clock, which may be wrong. */
  now(): number;
  sleep(ms: Millis, options?: { readonly signal?: AbortSignal }): Promise<void>;
}

/** What an application is given each time its node starts. */
export interface AppNode {
  readonly index: number;
  readonly user: UserId;
  /** As `node.channel(id)` gives it on a real node. */
  readonly channel: Channel;
  readonly clock: AppClock;
  /** Uniform in [0, 1), drawn from the seed. */
  readonly random: () => number;
  /** Survives crashes; what is set is durable at once. */
  readonly storage: Map<string, string>;
  /** Writes a line into the run's log. */
  log(text: string): void;
}

/** An application that runs, on a node that is up. */
export interface RunningApp<A> {
  readonly app: A;
  readonly node: AppNode;
}

export interface AppWorkload<A> {
  /** Something that a user does, at random times, on a random node that is up. */
  act(app: A, node: AppNode): void | Promise<void>;
  /** Mean time between two acts; drawn from the seed if left out. */
  readonly everyMs?: Millis;
}

/** Each is called with the applications that run, in the order of their nodes, and throws if something is wrong. */
export interface AppChecks<A> {
  /** Must hold at all times: called whenever application code ran. */
  always?(apps: readonly RunningApp<A>[]): void;
  /** Must come to hold once faults and load are over and the channel is at rest. */
  eventually?(apps: readonly RunningApp<A>[]): void;
}

export interface AppOptions<A> extends Omit<SimulateOptions, 'workload' | 'sabotage'> {
  /**
   * Makes the application, whenever a node starts as a member; what one did
   * before a crash never goes on. If it has a `run()`, that is called; it is a
   * violation if it fails.
   */
  app(node: AppNode): A;
  readonly workload?: AppWorkload<A>;
  readonly checks?: AppChecks<A>;
}

/**
 * Runs one simulation: of the nodes alone under a load of their own, or of an
 * application on them. Never throws for what goes wrong inside: see `ok` and
 * `violation`. Rejects with `bad_options`, and with `aborted` when its signal is.
 */
export function simulate<A>(options: AppOptions<A>): Promise<SimulateResult>;
export function simulate(options: SimulateOptions): Promise<SimulateResult>;
export async function simulate<A>(
  options: SimulateOptions | AppOptions<A>,
): Promise<SimulateResult> {
  if (!('app' in options)) return simulateNodes(options);
  checkAppOptions(options);
  const { app: _, workload: _w, checks: _c, ...rest } = options;
  return simulateNodes(rest, (run) => new AppHost(run, options));
}
