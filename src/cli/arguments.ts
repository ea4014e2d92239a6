/**
 * Options may stand before or after the command and its arguments. The parser
 * knows a command's options only once it has seen the command, so the command
 * is moved to the front: `--dir d --json log team` → `log --dir d --json team`.
 */

export interface Arranged {
  readonly argv: readonly string[];
  readonly command: string | undefined;
  readonly json: boolean;
  readonly verbose: boolean;
}

/** `takesValue` says of each option, of whatever command, whether a value follows it. */
export function commandFirst(
  argv: readonly string[],
  takesValue: (option: string) => boolean,
): Arranged {
  const flags = new Set<string>();
  let at = -1;
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (arg === '--') break;
    if (!arg.startsWith('-') || arg === '-') {
      if (at === -1) at = i;
    } else if (takesValue(arg)) {
      i++;
    } else {
      flags.add(arg);
    }
  }
  const command = argv[at];
  return {
    argv: command === undefined ? argv : [command, ...argv.slice(0, at), ...argv.slice(at + 1)],
    command,
    json: flags.has('--json'),
    verbose: flags.has('--verbose'),
  };
}
