/** Runs the compliance suite of the store port on every store there is. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryStore } from '../../src/core/memory-store.js';
import { openLevelStore } from '../../src/node/level-store.js';
import { faultStore } from '../../src/testing/fault-store.js';
import { storeCompliance } from './store.js';

storeCompliance('LevelDB', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'conclave-store-'));
  return {
    open: () => openLevelStore(dir),
    persistent: true,
    dispose: () => rm(dir, { recursive: true }),
  };
});

storeCompliance('memory', async () => ({
  open: async () => memoryStore(),
  persistent: false,
}));

storeCompliance('fault-injecting', async () => {
  let store = faultStore();
  return {
    open: async () => {
      store = faultStore(store.image());
      return store;
    },
    persistent: true,
  };
});
