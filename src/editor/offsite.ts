/** Sends backups to other machines: by hand, once a day, or after each backup. */
import * as vscode from 'vscode';
import { isBackupError } from '../core/errors.ts';
import type { Destination } from '../core/offsite/destination.ts';
import { isSendDue } from '../core/offsite/due.ts';
import type { Sent } from '../core/offsite/send.ts';
import { isPassing } from '../core/offsite/trouble.ts';
import type { CallOptions, WorkerClient } from '../worker/client.ts';
import type { Backups } from './backups.ts';
import type { BackupsFolder } from './backupsFolder.ts';
import { Disposables } from './disposables.ts';
import type { Log } from './log.ts';
import type { Settings } from './settings.ts';

const hourMs = 60 * 60 * 1000;
/** Several databases are often backed up one after the other. */
const settlesAfterMs = 5000;

interface Needs {
  backups: Backups;
  folder: BackupsFolder;
  log: Log;
  secrets: vscode.SecretStorage;
  settings: Settings;
  worker: WorkerClient;
}

export class Offsite implements vscode.Disposable {
  readonly #needs: Needs;
  readonly #owned = new Disposables();
  #soon: NodeJS.Timeout | undefined;

  constructor(needs: Needs) {
    this.#needs = needs;
    const daily = setInterval(() => void this.#sendDue(), hourMs);
    daily.unref();
    // A window that is open for less than an hour sends, too.
    const first = setTimeout(() => void this.#sendDue(), settlesAfterMs);
    this.#owned.add({ dispose: () => clearTimeout(first) });
    this.#owned.add({ dispose: () => clearInterval(daily) });
    this.#owned.add({ dispose: () => clearTimeout(this.#soon) });
    this.#owned.add(
      needs.backups.onDidBackUp(() => {
        clearTimeout(this.#soon);
        this.#soon = setTimeout(() => void this.#sendAfterBackup(), settlesAfterMs);
      }),
    );
  }

  dispose(): void {
    this.#owned.dispose();
  }

  /** None where the workspace is not trusted. */
  destinations(): Destination[] {
    return vscode.workspace.isTrusted ? this.#needs.settings.offsite() : [];
  }

  async secretOf(destination: Destination): Promise<string | undefined> {
    return this.#needs.secrets.get(keyOf(destination));
  }

  /** The password stays in the secret storage of the editor. */
  async keepSecret(destination: Destination, secret: string): Promise<void> {
    await this.#needs.secrets.store(keyOf(destination), secret);
  }

  /** The backups folders of this window. */
  async folders(): Promise<string[]> {
    const { folder } = this.#needs;
    const all = await Promise.all(
      (vscode.workspace.workspaceFolders ?? []).map((one) => folder.resolve(one)),
    );
    return [...new Set(all.filter((one) => one !== undefined))];
  }

  async send(destination: Destination, options: CallOptions = {}): Promise<Sent> {
    const { worker, backups } = this.#needs;
    const secret = await this.secretOf(destination);
    const folders = await this.folders();
    try {
      return await worker.call('offsiteSend', { destination, secret, folders }, options);
    } finally {
      // A run that was cut short has sent something, too.
      await backups.refresh();
    }
  }

  async #sendDue(): Promise<void> {
    for (const destination of this.destinations().filter(({ when }) => when !== 'manual'))
      if (await this.#isDue(destination)) await this.#sendQuietly(destination);
  }

  /** Once a day, and each hour while the place cannot be reached or takes no requests. */
  async #isDue(destination: Destination): Promise<boolean> {
    try {
      const status = await this.#needs.worker.call('offsiteStatus', {
        destination,
        folders: [],
      });
      return isSendDue(status.triedAt, Date.now()) || isPassing(status.trouble?.reason);
    } catch (error) {
      this.#needs.log.error(`Off-machine copies: ${destination.name}`, error);
      return false;
    }
  }

  async #sendAfterBackup(): Promise<void> {
    for (const destination of this.destinations().filter(({ when }) => when === 'afterEach'))
      await this.#sendQuietly(destination);
  }

  /** The trouble stays in the state of the place, which Doctor shows. */
  async #sendQuietly(destination: Destination): Promise<void> {
    const { log } = this.#needs;
    try {
      const { sent, trouble } = await this.send(destination);
      if (trouble !== undefined) log.info(trouble.message);
      else log.info(`Off-machine copies: ${sent.length} sent to ${destination.name}.`);
    } catch (error) {
      if (isBackupError(error) && error.facts?.['reason'] === 'busy') return;
      log.error(`Off-machine copies: ${destination.name}`, error);
    }
  }
}

function keyOf({ engine, repository }: Destination): string {
  return `offsite ${engine} ${repository}`;
}
