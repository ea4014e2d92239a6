/**
 * Runs an application on the nodes of a simulated run (app.ts): an instance
 * for each life of a node, users who act on them, and the application's checks.
 * After each thing that happens, all code that waited for it runs before time
 * goes on, so that a run stays a function of its seed.
 */

import type { CoreEvent } from '../core/effects.js';
import type { Millis, UserId } from '../core/ids.js';
import type { Input } from '../core/input.js';
import { channelKeys, decodeFinal } from '../core/layout.js';
import type { LinkId } from '../core/presence.js';
import { aborted } from '../node/wait.js';
import type { AppClock, AppNode, AppOptions, RunningApp } from './app.js';
import { AppChannel } from './app-channel.js';
import type { Guest, GuestRun } from './guest.js';
import { below, between, type Draw, drawsOf } from './prng.js';
import type { SimNode } from './sim-node.js';

/** Of this moment: tests may replace the global one. */
const immediate = setImmediate;
const microtasksDone = (): Promise<void> => new Promise((resolve) => immediate(resolve));

interface Instance<A> extends RunningApp<A> {
  readonly channel: AppChannel;
}

/** What is kept for a node over its lives. */
interface Home<A> {
  readonly draw: Draw;
  readonly storage: Map<string, string>;
  /** The relays that the node has links to now. */
  readonly links: Map<LinkId, UserId>;
  life: number;
  instance: Instance<A> | undefined;
}

const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof (value as { then?: unknown } | undefined)?.then === 'function';

export class AppHost<A> implements Guest {
  readonly #run: GuestRun;
  readonly #o: AppOptions<A>;
  readonly #homes: readonly Home<A>[];
  /** Application code may have something to do. */
  #stirred = false;

  constructor(run: GuestRun, options: AppOptions<A>) {
    this.#run = run;
    this.#o = options;
    this.#homes = run.nodes.map(({ index }) => ({
      draw: drawsOf(options.seed, `application ${index}`),
      storage: new Map(),
      links: new Map(),
      life: 0,
      instance: undefined,
    }));
  }

  #home(node: SimNode): Home<A> {
    return this.#homes[node.index]!;
  }

  started(node: SimNode): void {
    const home = this.#home(node);
    home.life += 1;
    home.links.clear();
    home.instance = undefined;
  }

  stepped(node: SimNode, inputs: readonly Input[]): void {
    const home = this.#home(node);
    for (const input of inputs) {
      if (input.type === 'link-up') home.links.set(input.link, input.relay);
      if (input.type === 'link-down') home.links.delete(input.link);
    }
    if (!home.instance) this.#run.timeline.in(0, () => this.#begin(node));
  }

  event(node: SimNode, event: CoreEvent): void {
    const { instance } = this.#home(node);
    if (!instance) return this.#begin(node);
    if (event.type === 'done' || event.type === 'failed') return;
    instance.channel.onEvent(event);
    this.#stirred = true;
  }

  /** Starts the application, once its node is a member and its disk knows all that its core does. */
  #begin(node: SimNode): void {
    const home = this.#home(node);
    const st = node.isUp ? node.state(this.#run.channel) : undefined;
    if (home.instance || !st?.roster.members.has(node.user)) return;
    const bytes = node.disk.get(channelKeys(st.id).final);
    if ((bytes ? decodeFinal(bytes).seq : 0) !== st.log.final.seq) return;
    const { crypto, channel, application, recorder } = this.#run;
    const { draw, life, links } = home;
    const isLinked = (relay: string | undefined): boolean =>
      [...links.values()].some((r) => r === relay);
    const onAnswer = (): void => {
      this.#stirred = true;
    };
    const own = new AppChannel({
      node,
      channel,
      crypto,
      draw,
      application,
      recorder,
      life,
      isLinked,
      onAnswer,
    });
    const appNode = this.#appNode(node, own);
    this.#guarded(node, () => {
      const app = this.#o.app(appNode);
      home.instance = { app, node: appNode, channel: own };
      const { run } = app as { run?: unknown };
      return typeof run === 'function' ? run.call(app) : undefined;
    });
  }

  #appNode(node: SimNode, channel: AppChannel): AppNode {
    const { draw, storage } = this.#home(node);
    return {
      index: node.index,
      user: node.user,
      channel,
      clock: this.#clock(node),
      random: draw,
      storage,
      log: (text) => this.#run.note(`node ${node.index} application: ${text}`),
    };
  }

  #clock(node: SimNode): AppClock {
    const { timeline } = this.#run;
    const home = this.#home(node);
    const { life } = home;
    return {
      now: () => node.clock.wall,
      sleep: (ms, { signal } = {}) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(aborted(signal));
          const timer = timeline.in(ms, () => {
            signal?.removeEventListener('abort', onAbort);
            if (!node.isUp || home.life !== life) return;
            this.#stirred = true;
            resolve();
          });
          const onAbort = (): void => {
            timeline.cancel(timer);
            reject(aborted(signal));
          };
          signal?.addEventListener('abort', onAbort, { once: true });
        }),
    };
  }

  /** Runs code of the application; what it throws, now or later, is a violation. */
  #guarded(node: SimNode, code: () => unknown): void {
    const threw = (error: unknown): void => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#run.onBreak('application: throws', `on node ${node.index}: ${text}`);
    };
    this.#stirred = true;
    try {
      const result = code();
      if (isPromise(result)) result.then(undefined, threw);
    } catch (error) {
      threw(error);
    }
  }

  /** The applications that run now. */
  #running(): RunningApp<A>[] {
    return this.#run.nodes.flatMap((node) => {
      const { instance } = this.#home(node);
      return node.isUp && instance ? [{ app: instance.app, node: instance.node }] : [];
    });
  }

  /** Users act until `until`. */
  load(from: Millis, until: Millis): void {
    const { workload } = this.#o;
    if (!workload) return;
    const draw = drawsOf(this.#o.seed, 'acts');
    const every = between(draw, 100, 1_500);
    for (let at = from; at < until; at += (workload.everyMs ?? every) * 2 * draw()) {
      const node = this.#run.nodes[below(draw, this.#run.nodes.length)]!;
      this.#run.timeline.at(Math.floor(at), () => {
        const { instance } = this.#home(node);
        if (!node.isUp || !instance) return;
        this.#guarded(node, () => workload.act(instance.app, instance.node));
      });
    }
  }

  flush(): Promise<void> | undefined {
    return this.#stirred ? this.#flush() : undefined;
  }

  async #flush(): Promise<void> {
    this.#stirred = false;
    await microtasksDone();
    const wrong = this.#wrong(this.#o.checks?.always);
    if (wrong) this.#run.onBreak('application: always', wrong);
  }

  #wrong(check: ((apps: readonly RunningApp<A>[]) => void) | undefined): string | undefined {
    try {
      check?.call(this.#o.checks, this.#running());
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  unsettled(): string | undefined {
    const running = this.#running().length;
    const { length } = this.#run.nodes;
    if (running < length) return `the application runs on ${running} of ${length} nodes`;
    return this.#wrong(this.#o.checks?.eventually);
  }
}
