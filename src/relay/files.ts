/**
 * The files that a relay reads when it starts and when it is told to read them
 * again: certificate and key, allow-list, token. All are read before any takes
 * effect, so that a mistake in one changes nothing.
 */

import type { Logger } from 'pino';
import type { UserId } from '../core/ids.js';
import { appendAllowed, readAllowed, readToken } from './access-files.js';
import { loadTls, type TlsCredentials, type TlsFiles } from './tls-credentials.js';

export interface FileOptions {
  readonly allow?: readonly UserId[];
  readonly allowFile?: string;
  readonly tokenFile?: string;
  readonly tls?: TlsFiles;
}

interface Contents {
  readonly tls: TlsCredentials | undefined;
  readonly token: Uint8Array | undefined;
  /** `undefined` lets everyone in. */
  readonly allowed: readonly UserId[] | undefined;
}

async function readAll({ allow, allowFile, tokenFile, tls }: FileOptions): Promise<Contents> {
  const isOpen = allow === undefined && allowFile === undefined && tokenFile === undefined;
  const listed = allowFile === undefined ? [] : await readAllowed(allowFile);
  return {
    tls: tls && (await loadTls(tls)),
    token: tokenFile === undefined ? undefined : await readToken(tokenFile),
    allowed: isOpen ? undefined : [...(allow ?? []), ...listed],
  };
}

export class Files {
  readonly #options: FileOptions;
  readonly #log: Logger;
  #contents: Contents;
  /** Writing those who registered, one after the other. */
  #writing: Promise<void> = Promise.resolve();

  private constructor(options: FileOptions, log: Logger, contents: Contents) {
    this.#options = options;
    this.#log = log;
    this.#contents = contents;
    this.#warnOfExpiry();
  }

  /** Throws `bad_tls` or `bad_access`. */
  static async load(options: FileOptions, log: Logger): Promise<Files> {
    return new Files(options, log, await readAll(options));
  }

  get tls(): TlsCredentials | undefined {
    return this.#contents.tls;
  }

  get token(): Uint8Array | undefined {
    return this.#contents.token;
  }

  get allowed(): readonly UserId[] | undefined {
    return this.#contents.allowed;
  }

  /** Who is on the list now and was not, and the other way round. */
  async reload(): Promise<{ allowed: readonly UserId[]; disallowed: readonly UserId[] }> {
    await this.#writing;
    const before = this.#contents.allowed ?? [];
    this.#contents = await readAll(this.#options);
    this.#warnOfExpiry();
    const after = this.#contents.allowed ?? [];
    // Without a file of its own the list is what it became since the start.
    if (this.#options.allowFile === undefined) return { allowed: [], disallowed: [] };
    const [was, is] = [new Set(before), new Set(after)];
    return {
      allowed: after.filter((user) => !was.has(user)),
      disallowed: before.filter((user) => !is.has(user)),
    };
  }

  /** Keeps `user` on the list, in the file where there is one. */
  registered(user: UserId): void {
    const { allowFile } = this.#options;
    this.#contents = { ...this.#contents, allowed: [...(this.#contents.allowed ?? []), user] };
    if (allowFile === undefined) return;
    this.#writing = this.#writing
      .then(() => appendAllowed(allowFile, user))
      .catch((error) => {
        this.#log.error({ err: error, user }, `who registered can't be written to ${allowFile}`);
      });
  }

  /** What is to be written is written. */
  settled(): Promise<void> {
    return this.#writing;
  }

  #warnOfExpiry(): void {
    const { validTo } = this.#contents.tls ?? {};
    if (validTo === undefined || validTo.getTime() > Date.now()) return;
    this.#log.warn({ validTo }, 'the TLS certificate has expired');
  }
}
