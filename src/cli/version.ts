/** The package's version: package.json stands two folders above, in `src` and in `dist`. */

import { readFileSync } from 'node:fs';

const manifest = new URL('../../package.json', import.meta.url);

export const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
