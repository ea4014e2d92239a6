/** What may run on the nodes of a simulated run in place of a load of its own (app-host.ts). */

import type { Verifier } from '../core/check-proof.js';
import type { CoreEvent } from '../core/effects.js';
import type { ChannelId, Millis } from '../core/ids.js';
import type { Input } from '../core/input.js';
import type { Application } from './application.js';
import type { HistoryRecorder } from './record-history.js';
import type { SimNode } from './sim-node.js';
import type { Timeline } from './timeline.js';

/** What a guest is given of a run. */
export interface GuestRun {
  readonly nodes: readonly SimNode[];
  readonly timeline: Timeline;
  readonly channel: ChannelId;
  readonly crypto: Verifier;
  readonly application: Application;
  readonly recorder: HistoryRecorder;
  readonly onBreak: (invariant: string, message: string) => void;
  readonly note: (text: string) => void;
}

/** What runs on the nodes in place of the load of the run itself: an application and its users. */
export interface Guest {
  started(node: SimNode): void;
  stepped(node: SimNode, inputs: readonly Input[]): void;
  event(node: SimNode, event: CoreEvent): void;
  load(from: Millis, until: Millis): void;
  /** Lets all go on that waited for what just happened; undefined if nothing did. */
  flush(): Promise<void> | undefined;
  /** Why it has not come to rest, or is wrong there. */
  unsettled(): string | undefined;
}
