#!/usr/bin/env node
/** The `conclave` command. */

import { main } from './process.js';
import { realHost } from './real-host.js';

await main(process.argv.slice(2), realHost);
