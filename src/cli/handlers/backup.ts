/** Handler of `backup`: the node's store, page by page. Who calls makes the file of it. */

import type { Handler } from '../io.js';

export const backup: Handler = async (node, _args, io) => {
  for await (const page of node.snapshot()) {
    await io.emit({ page: Buffer.from(page).toString('base64') });
  }
};
