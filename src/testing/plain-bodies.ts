/**
 * The bodies of a simulated channel: plain, since ciphers would only cost time
 * there, and what opens keys answers when it likes, which no seed could repeat.
 */

import { ConclaveError } from '../core/errors.js';
import type { Bodies, BodiesHost } from '../node/bodies.js';

export function plainBodies({ id: channel, request }: BodiesHost): Bodies {
  return {
    load: async () => {},
    close: () => {},
    onEvent: () => {},
    ready: async () => {},
    isNews: () => false,
    messageKey: async () => undefined,
    learnOf: async () => {},
    has: () => true,
    open: ({ body }) => ({ is: 'open', body }),
    submit: (submissions, also) =>
      request((token) => ({ type: 'submit', channel, token, submissions, also })),
    rotate: () => Promise.reject(notSimulated()),
    replace: async () => {},
    firstKey: async () => {},
  };
}

const notSimulated = (): ConclaveError =>
  new ConclaveError('not_simulated', 'the simulator has no channel keys');
