/** The commands and their options, for the parser: what `conclave --help` lists. */

import { Command } from 'commander';
import type { Cli } from './cli.js';
import { addBackup, addRestore } from './commands/backup.js';
import { addCreate, addInvite, addJoin, addRelays } from './commands/channels.js';
import { addDemo } from './commands/demo.js';
import { addDoctor } from './commands/doctor.js';
import { addExport } from './commands/export.js';
import { addImport } from './commands/import.js';
import { addInit } from './commands/init.js';
import { addLeave, addMembers, addRemove, addRole, addRotate } from './commands/members.js';
import { addDm, addInbox, addLog, addSend, addTail } from './commands/messages.js';
import { addPassphrase } from './commands/passphrase.js';
import { addCheckProof, addProve } from './commands/proofs.js';
import { addRelay } from './commands/relay.js';
import { addRecover, addRecoveryKey, addReplace } from './commands/replace.js';
import { addExplain, addStatus } from './commands/reports.js';
import { addSim } from './commands/sim.js';
import { addUp } from './commands/up.js';
import { addVerify } from './commands/verify.js';
import { PASSPHRASE_ENV, passphraseFrom } from './passphrase.js';

const COMMANDS = [
  addRelay,
  addInit,
  addPassphrase,
  addCreate,
  addInvite,
  addJoin,
  addLeave,
  addRemove,
  addRole,
  addRotate,
  addRecoveryKey,
  addRecover,
  addReplace,
  addUp,
  addRelays,
  addSend,
  addTail,
  addLog,
  addStatus,
  addMembers,
  addExplain,
  addProve,
  addCheckProof,
  addDm,
  addInbox,
  addVerify,
  addBackup,
  addRestore,
  addDoctor,
  addImport,
  addExport,
  addSim,
  addDemo,
];

const NOTES = `
With --json a command prints one JSON object a line on stdout, and nothing else there.
Exit codes: 0 done; 1 failed; 2 wrong usage, as an unknown option or an argument that is not of
its form; 130 stopped by Ctrl-C, 143 by SIGTERM (relay, up and --follow end with 0 then).
"conclave <command> --help" explains a command.`;

export interface ProgramOptions {
  readonly version: string;
  /** What help, the version and complaints about usage are written with. */
  readonly write: (text: string) => void;
  readonly complain: (text: string) => void;
  /** What the commands work with, once they run. */
  readonly cli: () => Cli;
}

export function buildProgram({ version, write, complain, cli }: ProgramOptions): Command {
  const program = new Command('conclave')
    .description('Chat channels whose members keep the whole log and need no server but a relay.')
    .version(version, '--version', 'print the version')
    .helpCommand('help [command]', 'explain a command')
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: complain })
    .addHelpText('after', NOTES);
  for (const add of COMMANDS) add(program, cli);
  for (const command of [program, ...program.commands]) {
    command.option('--json', 'print JSON, an object a line');
    command.option('--verbose', 'log everything, on stderr');
    if (opensIdentity(command)) {
      command.option(
        '--passphrase-file <file>',
        `the passphrase of the identity, if it has one (default: that in ${PASSPHRASE_ENV})`,
      );
    }
  }
  program.hook('preAction', (_, command) => {
    const { passphraseFile } = command.opts<{ passphraseFile?: string }>();
    cli().passphrase = passphraseFrom(passphraseFile, cli().host.env);
  });
  return program;
}

/** A relay's directory has a key of another kind. */
const opensIdentity = (command: Command): boolean =>
  command.name() !== 'relay' && command.options.some(({ long }) => long === '--dir');

/** Whether a value follows the option, in whichever command has it. */
export function takesValue(program: Command, option: string): boolean {
  return program.commands.some((command) =>
    command.options.some((one) => one.required && (one.long === option || one.short === option)),
  );
}
