/**
 * `conclave/testing`: for those who test applications on conclave, and for its
 * own tests. `simulate` runs whole channels in virtual time under faults;
 * `checkHistory` judges what was seen of a channel; `faultStore` is a store that
 * fails as disks do.
 */

export {
  type AppChecks,
  type AppClock,
  type AppNode,
  type AppOptions,
  type AppWorkload,
  type RunningApp,
  simulate,
} from './app.js';
export { type CheckName, checkHistory } from './check-history.js';
export { picture } from './diagram-page.js';
export { type FaultStore, faultStore, type StoreImage, type WriteFault } from './fault-store.js';
export type { Fault, FaultKind } from './faults.js';
export { FAULT_KINDS, LOSSY_KINDS, RARE_KINDS } from './faults.js';
export type {
  History,
  HistoryEntry,
  HistoryEvent,
  HistoryProblem,
  HistoryState,
} from './history.js';
export { activeMarks, MARKS, type Mark, type MarkName } from './marks.js';
export type { Observer, SimEvent } from './observer.js';
export type {
  Sabotage,
  SimulateOptions,
  SimulateResult,
  Violation,
} from './simulate.js';
