// After tsc: the command is executable, and newer than every source.

import { chmodSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'cli', 'main.js');
chmodSync(main, 0o755);
utimesSync(main, new Date(), new Date());
