/**
 * What the partition tests have in common: a lab in use, waits for what its
 * nodes say, and the end that each of them comes to: all stores, read while
 * nothing runs, verify, are equal, and the history keeps every promise.
 */

import { expect } from 'vitest';
import type { Probe } from '../../src/cli/demo/wait.js';
import { checkHistory } from '../../src/testing/check-history.js';
import { Lab, type LabNode, type LabOptions } from './lab.js';
import { Recorder } from './recorder.js';

/** Messages that must become final to show that things go on. */
const ENOUGH = 25;

export interface Scenario {
  readonly lab: Lab;
  readonly recorder: Recorder;
  /** As `Lab.until`, and fails at once when a reader or a sender does. */
  until<T>(what: string, probe: Probe<T>): Promise<T>;
  /** Waits until these nodes show more messages as final. */
  goOn(nodes: readonly LabNode[], count?: number): Promise<void>;
  /** Whom all of these nodes follow; never `not`, who led before. */
  leaderOf(nodes: readonly LabNode[], not?: LabNode): Promise<LabNode>;
  /** Each side reaches only those relays whose indexes it names; all relays are reached by none before the heal. */
  split(sides: readonly Side[]): Promise<void>;
  heal(): Promise<void>;
}

export interface Side {
  readonly nodes: readonly LabNode[];
  /** Indexes of the relays that it reaches. */
  readonly relays: readonly number[];
  /** It is to commit messages while it is cut off from the others. */
  readonly commits: boolean;
}

/** Plays `acts` while every node is given messages; then checks all that there is to check. */
export async function play(
  options: LabOptions,
  acts: (scenario: Scenario) => Promise<void>,
): Promise<void> {
  const lab = await Lab.open(options);
  try {
    const recorder = new Recorder(lab);
    try {
      recorder.talk();
      await acts(scenarioOf(lab, recorder));
      await recorder.hush();
      await rest(lab);
      await lab.stop(...lab.nodes);
      recorder.check();
      await judge(recorder, lab);
    } catch (error) {
      throw options.signal.aborted ? error : await withHistory(error, recorder, lab);
    } finally {
      await recorder.close();
    }
  } finally {
    await lab.close();
  }
}

function scenarioOf(lab: Lab, recorder: Recorder): Scenario {
  const until: Scenario['until'] = (what, probe) =>
    lab.until(what, (signal) => {
      recorder.check();
      return probe(signal);
    });
  const reach = async (sides: readonly Side[], how: 'cut' | 'heal'): Promise<void> => {
    const pairs = sides.flatMap(({ nodes, relays }) =>
      lab.relays
        .filter((_, i) => !relays.includes(i))
        .flatMap(({ host }) => nodes.map((node) => lab.network[how](node.host, host))),
    );
    await Promise.all(pairs);
  };
  let cut: readonly Side[] = [];
  return {
    lab,
    recorder,
    until,
    async goOn(nodes, count = ENOUGH) {
      const before = nodes.map((node) => recorder.finalAt(node));
      await until(`${count} more final messages on ${names(nodes)}`, () =>
        nodes.every((node, i) => recorder.finalAt(node) >= before[i]! + count),
      );
    },
    leaderOf: (nodes, not) =>
      until(`a leader of ${names(nodes)}`, () =>
        lab.nodes.find(
          (node) => node !== not && nodes.every(({ status }) => status?.leader === node.user),
        ),
      ),
    async split(sides) {
      cut = sides;
      await reach(sides, 'cut');
      recorder.note({
        type: 'cut',
        sides: sides.map(({ nodes, commits }) => ({ nodes: nodes.map((n) => n.index), commits })),
      });
      await until('every node to see its own side alone', () => sides.every(seesItselfAlone));
    },
    async heal() {
      recorder.note({ type: 'heal' });
      await reach(cut, 'heal');
    },
  };
}

export const names = (nodes: readonly LabNode[]): string =>
  nodes.map(({ name }) => name).join(', ');

function seesItselfAlone({ nodes, relays }: Side): boolean {
  const users = relays.length === 0 ? [] : nodes.map(({ user }) => user);
  return nodes.every(({ user, status }) => {
    const expected = new Set<string>([user, ...users]);
    return (
      status?.online.length === expected.size && status.online.every((one) => expected.has(one))
    );
  });
}

/** Waits until all nodes have nothing to do, and the same final log. */
function rest(lab: Lab): Promise<true> {
  return lab.until('all nodes to hold the same', () => {
    const all = lab.nodes.flatMap(({ status }) => status ?? []);
    const idle = all.filter(({ queued, sent, committed }) => queued + sent + committed === 0);
    return idle.length === lab.nodes.length && new Set(idle.map(({ head }) => head)).size === 1;
  });
}

/** What broke a scenario off, and what is wrong with the history until then: that may be why. */
async function withHistory(error: unknown, recorder: Recorder, lab: Lab): Promise<Error> {
  const statuses = lab.nodes.map((node) => `${node.name} ${JSON.stringify(gist(node, lab))}`);
  await Promise.all(lab.nodes.filter(({ running }) => running).map((node) => lab.kill(node)));
  const problems = await recorder.end(false).then(
    ({ history }) => checkHistory(history).map(({ check, message }) => `${check}: ${message}`),
    (unreadable) => [String(unreadable)],
  );
  return new Error([String(error), ...statuses, 'History until then:', ...problems].join('\n'), {
    cause: error,
  });
}

function gist({ status }: LabNode, { nodes }: Lab): object | null {
  if (!status) return null;
  const { relays, online, leader, epoch, state, waiting, queued, sent, committed, final } = status;
  const connected = relays.map((relay) => relay.connected);
  const nameOf = (user: string | null): string | undefined =>
    nodes.find((node) => node.user === user)?.name;
  const open = { queued, sent, committed, final };
  const reason = waiting?.reason;
  return {
    connected,
    online: online.map(nameOf),
    leader: nameOf(leader),
    epoch,
    state,
    reason,
    ...open,
  };
}

async function judge(recorder: Recorder, { nodes, network }: Lab): Promise<void> {
  const { history, verified } = await recorder.end(true);
  const sound = verified.map(({ ok, head, problems }) => ({ ok, head, problems }));
  expect(sound).toEqual(nodes.map(() => ({ ok: true, head: sound[0]!.head, problems: [] })));
  expect(checkHistory(history)).toEqual([]);
  const sent = nodes.reduce((sum, node) => sum + recorder.sentBy(node), 0);
  const final = history.ends[0]!.log.filter(({ kind }) => kind === 'message').length;
  const seen = `${history.events.length} events, ${final} of ${sent} messages final`;
  console.log(`${nodes.length} nodes on ${network.kind}: ${seen}`);
}
