/** Every command's part that needs the node, by name; also the names on the control socket. */

import type { Handler } from '../io.js';
import { backup } from './backup.js';
import { create, invite, invites, join, relays } from './channels.js';
import { importMessages } from './import.js';
import { leave, members, recover, recoveryKey, remove, replace, role, rotate } from './members.js';
import { dm, inbox } from './private.js';
import { exportEntries, log, tail } from './read.js';
import { explain, prove, status, verify } from './report.js';
import { send } from './send.js';

export const handlers: Readonly<Record<string, Handler>> = {
  backup,
  create,
  dm,
  explain,
  export: exportEntries,
  import: importMessages,
  inbox,
  invite,
  invites,
  join,
  leave,
  log,
  members,
  prove,
  recover,
  'recovery-key': recoveryKey,
  relays,
  remove,
  replace,
  role,
  rotate,
  send,
  status,
  tail,
  verify,
};
